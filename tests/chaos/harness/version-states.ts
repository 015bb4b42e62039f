/**
 * States of a scene's users, as an ingest leaves them that follows the pointer. Every other user has one; what
 * the others get is folded from their events at each request.
 */
import { join } from 'node:path';
import { parseVector } from '@nestrec/database';
import { loadArtifact } from '@nestrec/registry';
import { getVectorsRevision, itemVectorsTable, upsertUserStates } from '@nestrec/storage';
import { createCell, encodeState } from '@nestrec/streaming';
import type { VersionScene } from './versions.js';

/** Users whose states one transaction of the ingest moves. */
const BATCH = 50;

/** Events that a stored state says it has more than there are: an answer made of it says so too. */
export const STORED_MARK = 1_000;

/** Makes the stored states those of the version, whichever they were of. */
export async function storeStates(scene: VersionScene, version: string): Promise<void> {
  const { db, histories } = scene;
  const { manifest, parameters } = await loadArtifact(join(scene.folder, version));
  const cell = createCell(manifest.config, parameters);
  const vectorsRevision = await getVectorsRevision(db, version);
  const { rows } = await db.query<{ item_id: string; embedding: string }>(
    `SELECT item_id, embedding::text AS embedding FROM ${itemVectorsTable(version)}`,
  );
  const vectors = new Map(rows.map((row) => [row.item_id, parseVector(row.embedding)]));
  const states = histories
    .map((events, user) => ({ events, user }))
    .filter(({ user }) => user % 2 === 0)
    .map(({ events, user }) => ({
      ...{ userId: `u${user}`, modelVersion: version, vectorsRevision, unknownEvents: 0, edits: 0 },
      state: encodeState(cell.fold(events.map(({ itemId }) => vectors.get(itemId)!))),
      eventsInState: events.length + STORED_MARK,
      ...{ lastItemId: events.at(-1)!.itemId, newestEventId: events.at(-1)!.eventId },
      newestTimestampMs: events.at(-1)!.timestampMs,
    }));
  for (let at = 0; at < states.length; at += BATCH) {
    await upsertUserStates(db, states.slice(at, at + BATCH));
  }
}
