/** Puts an erasure into the log: 202 once it would survive a crash. Ingest does the rest. */
import type { ErasureAccepted, LogErasure } from '@nestrec/contracts';
import { EventLogUnavailable } from '@nestrec/errors';
import { appendRecords } from '../events/append-records.js';
import { encodeToken } from '../events/token.js';
import type { Client, RouteContext } from '../http/route.js';
import { encodeReceipt } from './receipt.js';

export async function requestErasure(
  erasure: LogErasure,
  { deps, metrics, client }: RouteContext & { readonly client: Client },
): Promise<{ status: 202; body: ErasureAccepted }> {
  const value = Buffer.from(JSON.stringify(erasure));
  const places = await appendRecords(deps.log, [{ key: erasure.user_id, value }]);
  const [place] = places;
  if (place === undefined) {
    throw new EventLogUnavailable({ detail: 'the log took a record and did not say where it is' });
  }
  metrics.eventsAccepted.inc({ source: 'http' });
  const erasureId = { userId: erasure.user_id, eventId: erasure.event_id };
  const receipt = encodeReceipt(place, erasureId);
  deps.logger.info(
    { receipt, kind: erasure.type, key_id: client.publicId },
    'an erasure was accepted',
  );
  return { status: 202, body: { receipt, token: encodeToken(places) } };
}
