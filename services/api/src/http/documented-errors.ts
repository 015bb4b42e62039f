/**
 * Which errors a route can answer: its own and those of the pipeline in front of it. The OpenAPI document
 * lists them, and the fuzz test holds the pipeline to the list.
 */
import * as errors from '@nestrec/errors';
import type { ErrorClass } from '@nestrec/errors';
import type { Route } from './route.js';

/** Without duplicates, ordered by status. */
export function documentedErrors(route: Route): ErrorClass[] {
  const all: ErrorClass[] = [
    errors.MalformedRequest,
    errors.InvalidUrl,
    errors.KeyInUrl,
    errors.InvalidParameter,
    errors.InternalError,
    ...route.errors,
  ];
  if (route.access.kind !== 'public') {
    all.push(errors.Unauthorized, errors.Forbidden, errors.RateLimited, errors.DatabaseUnavailable);
  }
  if (route.params !== undefined) all.push(errors.InvalidId);
  if (route.params !== undefined || route.query !== undefined) all.push(errors.InvalidRequest);
  if (route.body !== undefined) {
    all.push(
      errors.BodyRequired,
      errors.InvalidJson,
      errors.BodyMustBeObject,
      errors.BodyTooDeep,
      errors.UnknownField,
      errors.InvalidId,
      errors.BodyTooLarge,
      errors.RequestTimeout,
      errors.UnsupportedMediaType,
      errors.InvalidRequest,
    );
  }
  const byCode = new Map(all.map((entry) => [entry.code, entry]));
  return [...byCode.values()].sort(
    (a, b) => a.traits.status - b.traits.status || (a.code < b.code ? -1 : 1),
  );
}
