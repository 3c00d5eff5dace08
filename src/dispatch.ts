// From the first word of the command line to a role. Roles load on demand, so `sallyport genkey` does not pay for the data plane. Every error meant
// for people ends here as one line on stderr and its exit status; a bug keeps its stack.

import { PlainError } from './util/errors.ts';

/** Runs with the arguments behind its name; resolves to the exit status. */
export type Role = (args: string[]) => Promise<number>;

export interface RoleEntry {
  /** What follows the name, for the usage text. */
  readonly usage: string;
  /** It has more to say to --help than `usage`, and says it itself. */
  readonly ownHelp?: true;
  readonly load: () => Promise<Role>;
}

export type Roles = Readonly<Record<string, RoleEntry>>;

export async function dispatch(roles: Roles, args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(usage(roles));
    return name === undefined ? 2 : 0;
  }
  const role = Object.hasOwn(roles, name) ? roles[name] : undefined;
  if (role === undefined) {
    process.stderr.write(
      `sallyport: unknown command '${name}': expected one of ${Object.keys(roles).join(', ')}\n`,
    );
    return 2;
  }
  if ((rest[0] === '--help' || rest[0] === '-h') && role.ownHelp !== true) {
    process.stdout.write(`usage: sallyport ${name} ${role.usage}`.trimEnd() + '\n');
    return 0;
  }
  try {
    return await (
      await role.load()
    )(rest);
  } catch (error) {
    if (error instanceof PlainError) {
      process.stderr.write(`sallyport ${name}: ${error.message}\n`);
      return error.exit;
    }
    process.stderr.write(
      `sallyport ${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    return 1;
  }
}

function usage(roles: Roles): string {
  const lines = Object.entries(roles).map(([name, role]) => `  sallyport ${name} ${role.usage}`.trimEnd());
  return `usage:\n${lines.join('\n')}\n`;
}
