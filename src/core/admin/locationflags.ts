// Options of `core location add` and `set`, and how they become settings.

import { usageError } from '../../util/errors.ts';
import type { LocationSettings } from '../policy/policy.ts';
import { listOption, numberOption, switchOption } from './words.ts';
import type { Words } from './words.ts';

/** Name -> takes a value. */
export const locationFlags: Readonly<Record<string, boolean>> = {
  network: true,
  network6: true,
  endpoint: true,
  'allowed-ips': true,
  dns: true,
  mtu: true,
  keepalive: true,
  groups: true,
  steps: true,
  'allow-x25519': false,
  'stale-after': true,
  'idle-after': true,
  'max-life': true,
  lease: true,
  'claim-within': true,
  'offline-grace': true,
  'on-roam': true,
  ack: true,
  'demo-stale-after': true,
};

/** A setting of a location that an option of another name or form sets. */
const fields: Readonly<Record<string, string>> = {
  'allowed-ips': 'allowedIps',
  'allow-x25519': 'allowX25519',
  'stale-after': 'staleAfter',
  'idle-after': 'idleAfter',
  'max-life': 'maxLife',
  'claim-within': 'claimWithin',
  'offline-grace': 'offlineGrace',
  'on-roam': 'onRoam',
  'demo-stale-after': 'dangerouslyShortStaleAfter',
};

/** What the options say over `before`; an empty value takes a setting back. The shape is checked before it is stored. */
export function settingsFrom(words: Words, before: LocationSettings | undefined): LocationSettings {
  const given = new Map([...words.options].filter(([, value]) => value !== ''));
  const taken = [...words.options].filter(([, value]) => value === '').map(([name]) => fields[name] ?? name);
  const said = { ...words, options: given };
  const network = taken.includes('network') ? undefined : (given.get('network') ?? before?.network);
  if (network === undefined)
    throw usageError('no-network', 'a location needs --network PREFIX such as 10.77.0.0/24');
  const settings: Record<string, unknown> = without(taken, {
    ...before,
    ...defined({ network, ...tunnelOptions(said), ...loginOptions(said) }),
  });
  const policy = without(taken, { ...before?.policy, ...defined(policyOptions(said)) });
  if (Object.keys(policy).length > 0) settings['policy'] = policy;
  else delete settings['policy'];
  return settings as LocationSettings;
}

function tunnelOptions(words: Words): Record<string, unknown> {
  return {
    network6: words.options.get('network6'),
    endpoint: words.options.get('endpoint'),
    allowedIps: listOption(words, 'allowed-ips'),
    dns: listOption(words, 'dns'),
    mtu: numberOption(words, 'mtu', 'bytes'),
    keepalive: numberOption(words, 'keepalive', 'seconds'),
  };
}

function loginOptions(words: Words): Record<string, unknown> {
  return {
    groups: listOption(words, 'groups'),
    // "totp,recovery" is one step with two choices, "totp/recovery" two steps.
    steps: words.options
      .get('steps')
      ?.split('/')
      .map(step => step.split(',')),
    allowX25519: switchOption(words, 'allow-x25519'),
  };
}

function policyOptions(words: Words): Record<string, unknown> {
  return {
    staleAfter: numberOption(words, 'stale-after', 'seconds'),
    idleAfter: numberOption(words, 'idle-after', 'seconds'),
    maxLife: numberOption(words, 'max-life', 'seconds'),
    lease: numberOption(words, 'lease', 'seconds'),
    claimWithin: numberOption(words, 'claim-within', 'seconds'),
    offlineGrace: numberOption(words, 'offline-grace', 'seconds'),
    onRoam: words.options.get('on-roam'),
    ack: words.options.get('ack'),
    dangerouslyShortStaleAfter: numberOption(words, 'demo-stale-after', 'seconds'),
  };
}

function defined(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function without(names: readonly string[], values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => !names.includes(name)));
}
