/** Values that the schema lets pass and the state of things does not. */
import { excerpt, InvalidRequest, type NestrecError } from '@nestrec/errors';
import type { ApiDeps } from '../deps.js';

export function invalidField(path: string, value: unknown, want: string): NestrecError {
  const got = excerpt(value);
  return new InvalidRequest({
    fields: [{ path, got, want }],
    detail: `${path}: got ${got}, wanted ${want}.`,
  });
}

/** @throws InvalidRequest where there is no such tier */
export async function requireTier(deps: Pick<ApiDeps, 'tiers'>, name: string): Promise<void> {
  const names = (await deps.tiers.list()).map((tier) => tier.name);
  if (!names.includes(name)) throw invalidField('tier', name, `one of ${names.join(', ')}`);
}
