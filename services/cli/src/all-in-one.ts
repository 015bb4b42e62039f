/**
 * The all-in-one process: api and ingest over one database and the embedded event log. It only composes;
 * every part stands in its own service or package.
 */
import { composeDeps, createApi, createReadinessGate } from '@nestrec/api';
import { openEmbeddedLog } from '@nestrec/event-log';
import { createIngest } from '@nestrec/ingest';
import { createMetrics, systemClock } from '@nestrec/runtime';
import { ensureDefaultTiers, revokeApiKey } from '@nestrec/storage';
import { createKey } from './commands/keys.js';
import type { Platform } from './platform.js';
import { announceServer, withdrawServer } from './running-server.js';

export interface RunningServer {
  readonly url: string;
  /** Lets `/readyz` say 200. */
  open(): void;
  stop(): Promise<void>;
}

/**
 * Starts ingest, then listens. `/readyz` stays 503 until `open()`. Where a step fails, those before it are
 * undone before it throws.
 * @throws InvalidConfig for an address that cannot be listened on
 */
export async function startAllInOne(platform: Platform): Promise<RunningServer> {
  const { db, config, logger, folders } = platform;
  const metrics = createMetrics({ processMetrics: true });
  await ensureDefaultTiers(db);
  const log = openEmbeddedLog(db, { logger });
  const ingest = createIngest({ db, log, clock: systemClock, logger, metrics });
  const gate = createReadinessGate('starting');
  const deps = composeDeps(db, logger, metrics, ingest.forgetItem);
  const api = createApi({
    ...deps,
    log,
    waitForEvents: ingest.waitFor,
    checks: { ...deps.checks, ingest: ingest.check },
    gate,
    settings: {
      openOperations: config.openOperations,
      logHashKey: config.logHashKey,
      drainDelayMs: config.drainDelayMs,
    },
  });
  const ends = [() => api.stop(), () => ingest.stop(), () => log.close()];
  const stop = async () => {
    for (const end of ends.splice(0)) await end();
  };
  try {
    await ingest.start();
    const { url } = await api.listen(config.port, config.host);
    const admin = await createKey(db, { client: 'nestrec-cli', tier: 'full', scopes: ['admin'] });
    ends.push(async () => void (await revokeApiKey(db, admin.id)));
    ends.push(() => withdrawServer(folders.root));
    await announceServer(folders.root, { url, adminKey: admin.key });
    return { url, open: () => gate.open(), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
