/**
 * What a call can end with instead of an answer. Branch on `code`; the text is for people.
 *
 * The server's errors keep its codes (docs/errors.md); the client's own are `network_error`, `timeout`,
 * `unexpected_answer` and `invalid_argument`.
 */
import type { Problem } from '@nestrec/contracts';

/** Any failed call. Where the caller's own signal ended it, its reason is thrown as it is. */
export class NestrecClientError extends Error {
  /** Stable name of the failure. */
  readonly code: string;

  constructor(code: string, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The server answered, and not with what was asked for. */
export class NestrecApiError extends NestrecClientError {
  readonly status: number;
  /** Names the request in the server's log; null where no nestrec server answered. */
  readonly requestId: string | null;
  /** What is wrong, value by value. */
  readonly errors: Problem['errors'];
  /** How long the server asks to wait before the next try; null where it does not say. */
  readonly retryAfterMs: number | null;
  /** The parsed answer: a problem, and for `readiness` the checks beside it. */
  readonly body: unknown;

  constructor(
    status: number,
    requestId: string | null,
    retryAfterMs: number | null,
    body: unknown,
  ) {
    const problem = isProblem(body) ? body : null;
    const code = problem?.code ?? 'unexpected_answer';
    super(code, problem === null ? `the server answered ${status}` : describe(problem));
    this.status = status;
    this.requestId = requestId ?? problem?.request_id ?? null;
    this.errors = problem?.errors ?? [];
    this.retryAfterMs = retryAfterMs;
    this.body = body;
  }
}

/** No answer came: `network_error` or `timeout`. Whether the server acted on the request is not known. */
export class NestrecConnectionError extends NestrecClientError {}

const describe = ({ title, detail, code }: Problem) =>
  `${detail === title ? title : `${title} ${detail}`} [${code}]`;

function isProblem(body: unknown): body is Problem {
  const problem = body as Partial<Problem> | null;
  return (
    typeof problem === 'object' &&
    typeof problem?.code === 'string' &&
    typeof problem.detail === 'string' &&
    typeof problem.title === 'string' &&
    Array.isArray(problem.errors)
  );
}
