// Errors for people: one line that says what, where, what was expected and what to do. Hostile packets never become
// one of these (they become a counter); a bug of ours is a plain Error.

/** `code` is stable and switchable; `exit` is the process status: 2 for usage and configuration, 1 for run time. */
export class PlainError extends Error {
  readonly code: string;
  readonly exit: 1 | 2;

  constructor(code: string, message: string, exit: 1 | 2 = 1, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'PlainError';
    this.code = code;
    this.exit = exit;
  }
}

/** Wrong argument, option, file or value: exit status 2. */
export function usageError(code: string, message: string, cause?: unknown): PlainError {
  return new PlainError(code, message, 2, cause);
}

/** The text of anything thrown, on one line. */
export function errorText(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s*\n\s*/g, '; ');
}
