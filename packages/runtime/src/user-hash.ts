/** How users appear in logs and reports: as a keyed hash, never by id. */
import { createHmac, randomBytes } from 'node:crypto';

const SHOWN_HASH_CHARACTERS = 16;

/**
 * The same user has the same hash for as long as the secret is the same; without a secret, for as long as
 * the process lives.
 */
export function createUserHash(secret: string | null): (userId: string) => string {
  const key = secret ?? randomBytes(32);
  return (userId) =>
    createHmac('sha256', key).update(userId).digest('hex').slice(0, SHOWN_HASH_CHARACTERS);
}
