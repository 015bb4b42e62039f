/** A deliberately broken API: it believes keys for ten seconds, and counts limits by itself alone. */
import { apiConfig, composeDeps, createApi, createEventWaiter } from '@nestrec/api';
import { createMemoryClaims } from '../../../services/api/src/limits/claim-store.js';
import { openPostgres } from '@nestrec/database';
import { openEventLog } from '@nestrec/event-log';
import { createLogger, createMetrics, loadConfig } from '@nestrec/runtime';
import { getNextOffsets } from '@nestrec/storage';

const config = loadConfig(apiConfig, process.env);
const logger = createLogger({ name: 'broken-api', level: config.logLevel });
const db = await openPostgres({ url: config.databaseUrl!, allowUnsafeDurability: true, logger });
const { events } = openEventLog({ config, db, logger });
const api = createApi({
  ...composeDeps(db, logger, createMetrics()),
  claims: createMemoryClaims(),
  log: events,
  waitForEvents: createEventWaiter(() => getNextOffsets(db, events.topic)),
  settings: { keyCacheMs: 10_000 },
});
await api.listen(config.port, config.host);
logger.info('listening');
