/**
 * The id of an event that came without one. Derived from the event itself, so that the same request sent
 * again is the same event; where the time is absent too, nothing tells a retry from a second event, and
 * the id is random.
 */
import { createHash, randomUUID } from 'node:crypto';

export interface EventWithoutId {
  readonly user_id: string;
  readonly item_id: string;
  readonly type: string;
  /** Epoch ms as the producer gave it; null where it gave none. */
  readonly timestampMs: number | null;
  readonly value: number | null;
}

export function deriveEventId(event: EventWithoutId): string {
  if (event.timestampMs === null) return randomUUID();
  const { user_id, item_id, type, timestampMs, value } = event;
  const text = JSON.stringify([user_id, item_id, type, timestampMs, value]);
  return `d-${createHash('sha256').update(text).digest('base64url')}`;
}
