// What agents answer to a grant while a login waits for it. A session is committed by the first acceptance, or when all that were asked
// have accepted, as its location requires; a refusal counts only when no agent is left that may accept. Time comes with `tick(now)`.

import type { GrantRefusal } from '../../control/trust/grant.ts';

/** `acked`: enough have taken it. `ended`: the session is over before that. Otherwise the last refusal. */
export type Answer = 'acked' | 'timeout' | 'ended' | GrantRefusal;

interface Question {
  readonly deadline: number;
  readonly ack: 'one' | 'all';
  readonly asked: ReadonlySet<string>;
  readonly acked: Set<string>;
  readonly refused: Set<string>;
  readonly done: (answer: Answer) => void;
}

export class Answers {
  readonly #questions = new Map<string, Question>();

  /** Resolves once, with what comes of asking `agents` about session `id`. */
  wait(id: string, ack: 'one' | 'all', agents: readonly string[], deadline: number): Promise<Answer> {
    return new Promise(resolve => {
      this.#questions.set(id, {
        deadline,
        ack,
        asked: new Set(agents),
        acked: new Set(),
        refused: new Set(),
        done: answer => {
          if (this.#questions.delete(id)) resolve(answer);
        },
      });
    });
  }

  granted(id: string, agent: string): void {
    const question = this.#questions.get(id);
    if (question === undefined || !question.asked.has(agent)) return;
    const { ack, asked, acked, refused } = question;
    acked.add(agent);
    if (acked.size >= (ack === 'one' ? 1 : asked.size - refused.size)) question.done('acked');
  }

  refused(id: string, agent: string, code: GrantRefusal): void {
    const question = this.#questions.get(id);
    if (question === undefined || !question.asked.has(agent)) return;
    const { asked, acked, refused } = question;
    refused.add(agent);
    if (refused.size === asked.size) question.done(code);
    else if (acked.size > 0 && acked.size + refused.size === asked.size) question.done('acked');
  }

  ended(id: string): void {
    this.#questions.get(id)?.done('ended');
  }

  tick(now: number): void {
    for (const { deadline, done } of this.#questions.values()) if (now >= deadline) done('timeout');
  }
}
