/** The API as `run.ts` composes it, with a log of the caller's: what broken APIs have in common. */
import {
  apiConfig,
  composeDeps,
  createApi,
  createEventWaiter,
  type EventAppender,
} from '@nestrec/api';
import { openPostgres } from '@nestrec/database';
import { openEventLog, type EventLog } from '@nestrec/event-log';
import { createLogger, createMetrics, loadConfig } from '@nestrec/runtime';
import { getNextOffsets } from '@nestrec/storage';

/** @param replace the log that the API is to use instead of the product's */
export async function runApiWithLog(
  replace: (log: EventLog, config: { brokers: string[]; topic: string }) => EventAppender,
): Promise<void> {
  const config = loadConfig(apiConfig, process.env);
  const logger = createLogger({ name: 'broken-api', level: config.logLevel });
  const db = await openPostgres({
    url: config.databaseUrl!,
    allowUnsafeDurability: true,
    logger,
  });
  const { events } = openEventLog({ config, db, logger });
  const brokers = (config.kafkaBrokers ?? '').split(',');
  const api = createApi({
    ...composeDeps(db, logger, createMetrics()),
    log: replace(events, { brokers, topic: events.topic }),
    waitForEvents: createEventWaiter(() => getNextOffsets(db, events.topic)),
  });
  await api.listen(config.port, config.host);
  logger.info('listening');
}
