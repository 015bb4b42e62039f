/** Gives an event what makes it the same event whenever it is sent again: an id and a time. */
import type { EventBody } from '@nestrec/contracts';

export function identified(event: EventBody): EventBody {
  return {
    ...event,
    event_id: event.event_id ?? randomId(),
    // With the server's time, a second try would be another content under the same id.
    timestamp: event.timestamp ?? Date.now(),
  };
}

/** 128 random bits. Not `randomUUID`, which browsers keep for pages that came by HTTPS. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `c-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
