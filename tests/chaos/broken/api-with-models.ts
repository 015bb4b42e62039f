/** The API as `run.ts` composes it, with another way to the published model: what broken APIs share. */
import { apiConfig, composeDeps, createApi, createEventWaiter } from '@nestrec/api';
import { openPostgres, type Database } from '@nestrec/database';
import { openEventLog } from '@nestrec/event-log';
import { createRecommender, type PublishedModels } from '@nestrec/retrieval';
import { createLogger, createMetrics, loadConfig, type Logger } from '@nestrec/runtime';
import { getNextOffsets } from '@nestrec/storage';

/** @param make the models that the API is to serve with instead of the product's */
export async function runApiWithModels(
  make: (db: Database, logger: Logger) => PublishedModels,
): Promise<void> {
  const config = loadConfig(apiConfig, process.env);
  const logger = createLogger({ name: 'broken-api', level: config.logLevel });
  const db = await openPostgres({ url: config.databaseUrl!, allowUnsafeDurability: true, logger });
  const { events } = openEventLog({ config, db, logger });
  const models = make(db, logger);
  const api = createApi({
    ...composeDeps(db, logger, createMetrics()),
    recommender: createRecommender({ db, models, logger }),
    log: events,
    waitForEvents: createEventWaiter(() => getNextOffsets(db, events.topic)),
  });
  await api.listen(config.port, config.host);
  logger.info('listening');
}
