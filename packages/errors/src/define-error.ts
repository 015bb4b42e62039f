/**
 * The shape of every error of nestrec: a stable code that callers branch on, a text that may leave the
 * process, and a detail that says what was got, what was wanted and what to do.
 *
 * Knows nothing about HTTP frameworks; `status` and `exitCode` are plain numbers for the edges to use.
 */

/** One fault of one input field. `got` is shortened to 64 characters before it is shown. */
export interface FieldFault {
  readonly path: string;
  readonly got: string;
  readonly want: string;
}

export interface ErrorTraits {
  /** HTTP status at the API edge. */
  readonly status: number;
  /** Process exit code at the command-line edge: 1 failure, 2 usage, 64-78 as in sysexits.h. */
  readonly exitCode: number;
  /** Whether the same call may succeed later, unchanged. */
  readonly retryable: boolean;
  /** Title that may be shown to any client. */
  readonly publicMessage: string;
  /** Whether `detail` may be shown to clients too (true for faults of the caller's own input). */
  readonly detailIsPublic: boolean;
}

export interface ErrorContext {
  /** What was got, what was wanted, what to do. */
  readonly detail?: string;
  readonly fields?: readonly FieldFault[];
  /** Seconds after which a retry makes sense (`Retry-After`). */
  readonly retryAfterSeconds?: number;
  readonly cause?: unknown;
}

export class NestrecError extends Error {
  readonly code: string;
  readonly traits: ErrorTraits;
  readonly detail: string | undefined;
  readonly fields: readonly FieldFault[];
  readonly retryAfterSeconds: number | undefined;

  constructor(code: string, traits: ErrorTraits, context: ErrorContext = {}) {
    super(
      context.detail ? `${traits.publicMessage} ${context.detail}` : traits.publicMessage,
      context.cause === undefined ? undefined : { cause: context.cause },
    );
    this.name = 'NestrecError';
    this.code = code;
    this.traits = traits;
    this.detail = context.detail;
    this.fields = context.fields ?? [];
    this.retryAfterSeconds = context.retryAfterSeconds;
  }
}

/** A catalogue entry: `new SomeError({ detail })` makes an error that carries the entry's own code. */
export interface ErrorClass {
  new (context?: ErrorContext): NestrecError;
  readonly code: string;
  readonly traits: ErrorTraits;
}

const SHOWN_CHARACTERS = 64;

/** At most 64 characters of a value, for error texts: bad input is never echoed whole. */
export function excerpt(value: unknown): string {
  const text = typeof value === 'string' ? value : jsonText(value);
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS - 1)}…`;
}

/** JSON.parse reads any depth; JSON.stringify runs out of stack on what it has read. */
function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch (error) {
    if (error instanceof RangeError) return 'a value nested too deeply to be shown';
    throw error;
  }
}

/** Adds one entry to the catalogue; the code is derived once, here, so no instance can carry another. */
export function defineError(
  code: string,
  traits: Partial<ErrorTraits> & Pick<ErrorTraits, 'publicMessage'>,
): ErrorClass {
  const complete: ErrorTraits = {
    status: 500,
    exitCode: 1,
    retryable: false,
    detailIsPublic: (traits.status ?? 500) < 500,
    ...traits,
  };
  return class extends NestrecError {
    static readonly code = code;
    static readonly traits = complete;
    constructor(context: ErrorContext = {}) {
      super(code, complete, context);
    }
  };
}

/** Whether `error` is an instance of a catalogue entry, compared by code, so copies of a package agree. */
export function isError(error: unknown, entry: ErrorClass): error is NestrecError {
  return error instanceof NestrecError && error.code === entry.code;
}
