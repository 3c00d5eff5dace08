// What a method with a challenge is told, and what it begins.

import type { Random } from '../ids.ts';
import type { Mailer } from './mailer.ts';

/** Who asks, in words for the message. */
export interface Asked {
  readonly device: string;
  readonly location: string;
  readonly source: string;
  readonly random: Random;
}

export interface Begun {
  /** Kept sealed with the login. */
  readonly answer: string;
  /** A line for the person who logs in. */
  readonly show: string;
  /** False when the message is refused for good. */
  readonly send: (mailer: Mailer, forMs: number) => Promise<boolean>;
}
