/**
 * States of a scene's users, as an ingest leaves them that follows the pointer. Every other user has one; what
 * the others get is folded from their events at each request.
 */
import { join } from 'node:path';
import { createItemEmbedder } from '@nestrec/publishing';
import { loadArtifact } from '@nestrec/registry';
import { getVectorsRevision, upsertUserStates } from '@nestrec/storage';
import { createCell, encodeState } from '@nestrec/streaming';
import type { VersionScene } from './versions.js';

/** Users whose states one transaction of the ingest moves. */
const BATCH = 50;

/** Events that a stored state says it has more than there are: an answer made of it says so too. */
export const STORED_MARK = 1_000;

/**
 * Folds the states of a saved version; what it gives makes them the stored ones, whichever these were of. Apart,
 * because whoever folds while it sends a load measures itself.
 */
export async function prepareStates(
  { db, folder, histories }: VersionScene,
  version: string,
): Promise<() => Promise<void>> {
  const artifact = await loadArtifact(join(folder, version));
  const { manifest, parameters } = artifact;
  const cell = createCell(manifest.config, parameters);
  const embedder = await createItemEmbedder(artifact);
  const rows = embedder.embedTrained(Array(embedder.trainedItems).keys());
  const vectors = new Map(rows.map(({ itemId, vector }) => [itemId, vector]));
  const states = histories
    .map((events, user) => ({ events, user }))
    .filter(({ user }) => user % 2 === 0)
    .map(({ events, user }) => ({
      ...{ userId: `u${user}`, modelVersion: version, unknownEvents: 0, edits: 0 },
      state: encodeState(cell.fold(events.map(({ itemId }) => vectors.get(itemId)!))),
      eventsInState: events.length + STORED_MARK,
      ...{ lastItemId: events.at(-1)!.itemId, newestEventId: events.at(-1)!.eventId },
      newestTimestampMs: events.at(-1)!.timestampMs,
    }));
  return async () => {
    const vectorsRevision = await getVectorsRevision(db, version);
    for (let at = 0; at < states.length; at += BATCH) {
      const batch = states.slice(at, at + BATCH);
      await upsertUserStates(
        db,
        batch.map((state) => ({ ...state, vectorsRevision })),
      );
    }
  };
}
