// Joining: one HTTPS request with a one-time token; the answer pins Core's keys (docs/protocol.md). The token goes to Core only: no
// redirects, no log line, and errors do not repeat it.

import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type AgentEnrolAnswer, agentEnrolAnswer } from '../../control/wire/agentchannel.ts';
import { errorBody, paths } from '../../control/clientapi/words.ts';
import { read } from '../../control/validate.ts';
import { toBase64 } from '../../util/bytes.ts';
import { errorText, PlainError } from '../../util/errors.ts';
import type { Identity } from './identity.ts';

export interface JoinRequest {
  readonly coreUrl: string;
  readonly ca?: string | undefined;
  readonly token: string;
  readonly name: string;
  readonly identity: Identity;
  readonly timeoutMs?: number;
}

const answerMaxBytes = 65_536;

/**
 * `join-refused`: Core refused, and would refuse again. `join-unreachable`: worth another try, as when a router's uplink is
 * not up yet.
 */
export async function join(wanted: JoinRequest): Promise<AgentEnrolAnswer> {
  const { identity, coreUrl } = wanted;
  const body = JSON.stringify({
    joinToken: wanted.token,
    wgPublicKey: toBase64(identity.wireguard.publicKey),
    signPublicKey: toBase64(identity.sign.publicKey),
    kemPublicKey: identity.kem.publicKey,
    name: wanted.name,
  });
  const { status, text } = await post(wanted, body).catch((error: unknown) => {
    throw new PlainError(
      'join-unreachable',
      `Core at ${coreUrl} cannot be reached: ${errorText(error)}`,
      1,
      error,
    );
  });
  if (status === 200) {
    const answer = read(agentEnrolAnswer, text);
    if (answer.ok) return answer.value;
    throw new PlainError(
      'join-refused',
      `Core at ${coreUrl} answered something unexpected (${answer.error}): is this a Sallyport Core of the same version?`,
    );
  }
  const said = read(errorBody, text);
  const why = said.ok ? said.value.error.message : `HTTP status ${status}`;
  const isPassing = status === 429 || status >= 500;
  throw new PlainError(
    isPassing ? 'join-unreachable' : 'join-refused',
    `Core at ${coreUrl} refuses to enrol: ${why}`,
  );
}

function post(wanted: JoinRequest, body: string): Promise<{ status: number; text: string }> {
  const url = new URL(wanted.coreUrl + paths.agentEnrol);
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = send(
      url,
      {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        ...(wanted.ca !== undefined && { ca: wanted.ca }),
        timeout: wanted.timeoutMs ?? 15_000,
      },
      response => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          length += chunk.length;
          if (length > answerMaxBytes)
            request.destroy(new Error(`the answer is over ${answerMaxBytes} bytes`));
          chunks.push(chunk);
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        );
        response.on('error', reject);
      },
    );
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', reject);
    request.end(body);
  });
}
