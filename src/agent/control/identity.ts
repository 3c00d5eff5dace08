// The gateway's identity: its three key pairs (WireGuard, Ed25519 for the channel, KEM for sealed PSKs), made here and never leaving the
// state directory, and Core's answer at enrolment, above all the keys of Core that are pinned from then on.

import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import {
  generateSignKeyPair,
  generateX25519KeyPair,
  type RawKeyPair,
  ed25519PublicKey,
  x25519PublicKey,
} from '../../control/trust/keys.ts';
import {
  type AgentConfig,
  type AgentEnrolAnswer,
  agentEnrolAnswer,
} from '../../control/wire/agentchannel.ts';
import { generateKemKeyPair, type KemKeyPair, kemOf, kemPublicKeyText } from '../../control/trust/seal.ts';
import { bytesOf, key32, literal, object, type Shape, string } from '../../control/validate.ts';
import { toBase64 } from '../../util/bytes.ts';
import { PlainError } from '../../util/errors.ts';
import { readState, writeState } from './statefile.ts';

export interface Identity {
  readonly wireguard: RawKeyPair;
  readonly sign: RawKeyPair;
  readonly kem: KemKeyPair;
}

export interface Enrolment {
  readonly agentId: string;
  readonly location: string;
  /** Pinned Ed25519 keys: only what one of them signed is Core's. */
  readonly coreKeys: readonly Uint8Array[];
  readonly config: AgentConfig;
}

const keysShape = object({
  v: literal(1),
  wireguard: key32,
  sign: key32,
  kem: object({ publicKey: kemPublicKeyText, privateKey: key32 }),
});

const enrolmentShape: Shape<{ v: 1; core: string; answer: AgentEnrolAnswer }> = object({
  v: literal(1),
  /** Where it enrolled, for people. */
  core: string(2048),
  answer: agentEnrolAnswer,
});

type Warn = (message: string) => void;

/** The keys in `directory`, made now when there are none. */
export async function loadIdentity(directory: string, allowX25519: boolean, warn: Warn): Promise<Identity> {
  const path = join(directory, 'keys.json');
  const stored = readState(path, keysShape, warn);
  if (stored !== null) {
    const kem = kemOf(stored.kem.publicKey)!; // the shape saw to that
    const wireguard = bytesOf(stored.wireguard);
    const sign = bytesOf(stored.sign);
    return {
      wireguard: { privateKey: wireguard, publicKey: x25519PublicKey(wireguard) },
      sign: { privateKey: sign, publicKey: ed25519PublicKey(sign) },
      kem: { kem, publicKey: stored.kem.publicKey, privateKey: bytesOf(stored.kem.privateKey) },
    };
  }
  const identity: Identity = {
    wireguard: generateX25519KeyPair(),
    sign: generateSignKeyPair(),
    kem: generateKemKeyPair(allowX25519 ? 'x25519' : 'xwing'),
  };
  await writeState(path, {
    v: 1,
    wireguard: toBase64(identity.wireguard.privateKey),
    sign: toBase64(identity.sign.privateKey),
    kem: { publicKey: identity.kem.publicKey, privateKey: toBase64(identity.kem.privateKey) },
  });
  return identity;
}

/** Null before enrolment. */
export function loadEnrolment(directory: string, warn: Warn): Enrolment | null {
  const stored = readState(join(directory, 'agent.json'), enrolmentShape, warn);
  return stored === null ? null : enrolmentOf(stored.answer);
}

export async function saveEnrolment(
  directory: string,
  core: string,
  answer: AgentEnrolAnswer,
): Promise<Enrolment> {
  const enrolment = enrolmentOf(answer);
  await writeState(join(directory, 'agent.json'), { v: 1, core, answer });
  return enrolment;
}

/** Keys stay; the next start needs a join token. The old enrolment is kept beside, for people. */
export async function dropEnrolment(directory: string): Promise<void> {
  const path = join(directory, 'agent.json');
  await rename(path, `${path}.removed`);
}

/** Core may change addresses or MTU later; Core's keys stay as they were at enrolment. */
export async function saveConfig(directory: string, config: AgentConfig, warn: Warn): Promise<void> {
  const path = join(directory, 'agent.json');
  const stored = readState(path, enrolmentShape, warn);
  if (stored === null) throw new PlainError('state', `${path}: missing: it was there when the agent started`);
  await writeState(path, { ...stored, answer: { ...stored.answer, config } });
}

function enrolmentOf(answer: AgentEnrolAnswer): Enrolment {
  return {
    agentId: answer.agentId,
    location: answer.location,
    coreKeys: answer.coreKeys.map(bytesOf),
    config: answer.config,
  };
}
