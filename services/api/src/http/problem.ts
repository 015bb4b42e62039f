/** Turns anything that was thrown into problem+json (RFC 9457) that leaks nothing of the inside. */
import type { Problem } from '@nestrec/contracts';
import { InternalError, InvalidUrl, NestrecError } from '@nestrec/errors';

export const PROBLEM_CONTENT_TYPE = 'application/problem+json; charset=utf-8';
const RETRY_AFTER_SECONDS = 1;

/** The catalogue's error for whatever was thrown; everything we did not raise is `internal_error`. */
export function toNestrecError(error: unknown): NestrecError {
  if (error instanceof NestrecError) return error;
  // The router's own fault for a path segment that does not decode.
  if (error instanceof URIError) {
    return new InvalidUrl({ detail: 'The path is not valid percent-encoded UTF-8.', cause: error });
  }
  return new InternalError({ cause: error });
}

export function problemOf(error: NestrecError, requestId: string): Problem {
  const { traits } = error;
  return {
    type: `urn:nestrec:error:${error.code}`,
    title: traits.publicMessage,
    status: traits.status,
    code: error.code,
    detail:
      traits.detailIsPublic && error.detail !== undefined ? error.detail : traits.publicMessage,
    errors: traits.detailIsPublic
      ? error.fields.map(({ path, got, want }) => ({ path, got, want }))
      : [],
    request_id: requestId,
  };
}

/** Headers that belong to an error. */
export function problemHeaders(error: NestrecError): Record<string, string> {
  const headers: Record<string, string> = {};
  if (error.traits.status === 401) headers['WWW-Authenticate'] = 'Bearer realm="nestrec"';
  if (error.traits.retryable) {
    headers['Retry-After'] = String(Math.ceil(error.retryAfterSeconds ?? RETRY_AFTER_SECONDS));
  }
  return headers;
}
