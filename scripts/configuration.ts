// docs/configuration.md from the options as the sources have them: what a name is, its default, what is accepted. The texts that
// are not in the sources are in lib/optiontexts.ts. A test in test/house compares the file with this script's output.
//   node scripts/configuration.ts           prints it
//   node scripts/configuration.ts --write   writes docs/configuration.md

import { writeFileSync } from 'node:fs';
import { agentOptions, optionNames } from '../src/agent/config/schema.ts';
import type { Option } from '../src/agent/config/schema.ts';
import { durationText } from '../src/agent/config/optiontypes.ts';
import { commands } from '../src/client/command.ts';
import { locationFlags } from '../src/core/admin/locationflags.ts';
import { specs as coreSpecs } from '../src/core/command.ts';
import { defaultPolicy } from '../src/core/policy/policy.ts';
import { specs as proxySpecs } from '../src/proxy/command.ts';
import type { Specs } from '../src/control/settings.ts';
import { clientTexts, coreTexts, locationTexts, proxyTexts, tunnelVariables } from './lib/optiontexts.ts';
import type { OptionText } from './lib/optiontexts.ts';

const variable = (name: string): string => `SALLYPORT_${name.toUpperCase().replaceAll('-', '_')}`;
const camel = (name: string): string =>
  name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
const cell = (text: string): string => text.replaceAll('|', '\\|');

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}

/** The expectation that the form itself states when it is given nonsense. */
function accepted(option: Option<unknown>): string {
  const parsed = option.form.text('\0');
  return parsed.ok ? 'text' : parsed.expected.replace(/^each entry to be (.*)$/, 'a list; each $1');
}

function fallbackText(option: Option<unknown>): string {
  const { fallback } = option;
  if (fallback === '' || (Array.isArray(fallback) && fallback.length === 0)) return 'none';
  if (typeof fallback === 'number' && accepted(option).startsWith('a duration'))
    return durationText(fallback);
  if (typeof fallback === 'object' && fallback !== null && 'port' in fallback) {
    const { host, port } = fallback as { host: string; port: number };
    return `${host}:${port}`;
  }
  return String(fallback);
}

function agentTable(): string {
  const rows = optionNames.map(name => {
    const option: Option<unknown> = agentOptions[name];
    const when = option.secret === true ? 'joining' : option.fixed === true ? 'start' : 'HUP';
    return [`\`${name}\``, fallbackText(option), accepted(option), option.about, when];
  });
  return table(['option', 'default', 'accepted', 'what it is', 'read at'], rows);
}

function serverTable(specs: Specs, texts: Readonly<Record<string, OptionText>>): string {
  const rows = Object.entries(specs).map(([name, kind]) => {
    const { fallback, about } = texts[name]!;
    const flag = kind === 'secret' ? `--${name}-file` : `--${name}`;
    const key = kind === 'secret' ? `${camel(name)}File` : camel(name);
    return [
      `\`${flag}\``,
      `\`${key}\``,
      `\`${variable(kind === 'secret' ? `${name}-file` : name)}\``,
      kind,
      fallback,
      about,
    ];
  });
  return table(['flag', 'in the file', 'variable', 'kind', 'default', 'what it is'], rows);
}

function locationTable(): string {
  const rows = Object.entries(locationFlags).map(([flag, takesValue]) => {
    const text = locationTexts[flag];
    if (text === undefined) throw new Error(`scripts/lib/optiontexts.ts: locationTexts lacks "${flag}"`);
    const fallback = text.policy === undefined ? text.fallback : String(defaultPolicy[text.policy]);
    return [`\`--${flag}${takesValue ? ` ${text.value}` : ''}\``, `\`${text.key}\``, fallback, text.about];
  });
  return table(['flag', 'in the file of `apply`', 'default', 'what it is'], rows);
}

function clientTable(): string {
  const rows = Object.entries(commands).flatMap(([name, { usage, options }]) => [
    [`**\`${usage}\`**`, ''],
    ...Object.keys(options)
      .filter(option => !(option in clientTexts.common))
      .map(option => {
        const text = clientTexts.own[option];
        if (text === undefined)
          throw new Error(`scripts/lib/optiontexts.ts: clientTexts lacks "${option}" of ${name}`);
        return [`\`--${option}\``, text];
      }),
  ]);
  const common = Object.entries(clientTexts.common).map(([name, text]) => [
    `\`--${name}\` (every command)`,
    text,
  ]);
  return table(['command, then its options', 'what it is'], [...rows, ...common]);
}

export function configuration(): string {
  return `# Configuration

This page is made from the sources by \`scripts/configuration.ts\`; a test compares the two. Change the sources, not this page.

A value is taken from the first of these that has it: flag, environment, file, UCI (agent only), default. A wrong value is one line
that names the place, what was found and what was expected; the program ends with status 2.

**Secrets** are never arguments. They come from a file (\`--NAME-file FILE\`, \`SALLYPORT_NAME_FILE=FILE\`, \`NAME = "file:/path"\` in the
configuration), from the variable \`SALLYPORT_NAME\`, or from systemd's \`$CREDENTIALS_DIRECTORY\`. Two of them at once are an error.

## Agent

\`/etc/sallyport/agent.toml\`, or the file of \`--config FILE\` or \`SALLYPORT_CONFIG\`; on OpenWrt \`/etc/config/sallyport\`, or the file of
\`--uci FILE\` (\`--section NAME\` names the section). An option \`listen_port\` is \`listen_port\` in TOML and UCI, \`--listen-port\` on the
command line and \`SALLYPORT_LISTEN_PORT\` in the environment. Durations are written \`90s\`, \`15m\`, \`12h\`, \`7d\`; a bare number is
seconds. Lists are TOML lists, and separated by commas or spaces elsewhere. "HUP" in the last column: a changed value takes effect
at SIGHUP, without ending a session; "start": after a restart.

${agentTable()}

### Plain tunnel, and other variables

\`sallyport tunnel\` reads no file. What it and all roles read from the environment beside the options:

${table(
  ['variable', 'what it is'],
  Object.entries(tunnelVariables).map(([name, text]) => [`\`${name}\``, text]),
)}

## Core

\`--config FILE\` or \`SALLYPORT_CONFIG\` names the file; there is no default file. Kind \`list\` may be given several times as a flag and is
separated by commas in the environment.

${serverTable(coreSpecs, coreTexts)}

### Locations

Options of \`sallyport core location add NAME\` and \`set NAME\`, and the keys of \`[[location]]\` in the file of \`sallyport core apply\`, where
the keys with a dot stand in \`[location.policy]\`. Times are seconds. A grant carries the values in force when it was made, so a change
concerns new logins only.

${locationTable()}

## Proxy

${serverTable(proxySpecs, proxyTexts)}

## Client

The client has no file of settings: its state directory holds the device key (mode 0600) and what Core said at enrolment.

${clientTable()}
`;
}

if (import.meta.main) {
  if (process.argv.includes('--write'))
    writeFileSync(new URL('../docs/configuration.md', import.meta.url), configuration());
  else process.stdout.write(configuration());
}
