/**
 * Loads the published model as soon as the pointer moves, so that the first batch after a publish does not
 * have to wait for it. A batch that comes sooner loads it itself; which model steps states is decided in
 * the batch's own transaction, never here.
 */
import type { Database, Listening } from '@nestrec/database';
import type { Logger } from '@nestrec/runtime';
import { getPublished, PUBLISHED_CHANNEL } from '@nestrec/storage';
import type { ModelCache } from './model-source.js';

/** Follows until stopped. */
export function followPointer(db: Database, models: ModelCache, logger: Logger): Listening {
  const load = async () => {
    const pointer = await getPublished(db);
    if (pointer !== null && models.peek(pointer.version) === undefined) {
      await models.load(pointer.version);
    }
  };
  return db.listen(PUBLISHED_CHANNEL, () => {
    load().catch((error: unknown) => {
      logger.warn({ err: error }, 'the published model was not loaded ahead of the next batch');
    });
  });
}
