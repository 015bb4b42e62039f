/** An API key as answers show it: everything but the key and its hash. */
import type { KeyAnswer } from '@nestrec/contracts';
import type { ApiKey } from '@nestrec/storage';

export function presentKey(key: ApiKey): KeyAnswer {
  return {
    id: key.publicId,
    client: key.client,
    tier: key.tier.name,
    scopes: [...key.scopes],
    created_at: new Date(key.createdAtMs).toISOString(),
    expires_at: timeText(key.expiresAtMs),
    revoked_at: timeText(key.revokedAtMs),
    last_used_at: timeText(key.lastUsedAtMs),
  };
}

const timeText = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
