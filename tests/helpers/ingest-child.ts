/**
 * A process that applies the event log of a data folder, to be killed: prints the offset it has come to,
 * and ends once it has applied everything. With KILL_AT it applies batches without a transaction and
 * kills itself before it writes states for that time (0: never).
 *
 *   node --conditions=@nestrec/source --import tsx tests/helpers/ingest-child.ts DATA_DIR SEED TOTAL [KILL_AT]
 */
import { openPglite } from '@nestrec/database';
import { openEmbeddedLog } from '@nestrec/event-log';
import { createIngest } from '@nestrec/ingest';
import { createMetrics, manualClock, silentLogger } from '@nestrec/runtime';
import { faultyDatabase, NOW_MS } from './ingest-harness.js';
import { crashVersion } from './ingest-crash-data.js';

const [dataDir, seed, total, killAt] = process.argv.slice(2) as [string, string, string, string?];
const opened = await openPglite({ dataDir });
const killSelf = () => process.kill(process.pid, 'SIGKILL');
const db =
  killAt === undefined
    ? opened
    : faultyDatabase(opened, {
        ...{ failAt: Number(killAt), text: 'INTO user_states' },
        ...{ transactional: false, onFault: killSelf },
      });
const { cell } = crashVersion(Number(seed));
const log = openEmbeddedLog(opened);
const ingest = createIngest({
  ...{ db, log, clock: manualClock(NOW_MS), logger: silentLogger(), metrics: createMetrics() },
  loadModel: (version) => Promise.resolve({ version, cell, replayEvents: cell.replayEvents }),
  settings: { maxRecords: 40 },
});
await ingest.start();
const last = BigInt(total) - 1n;
for (let reached = false; !reached;) {
  const next = ingest.appliedUpTo().get(0) ?? 0n;
  process.stdout.write(`at ${next}\n`);
  reached = await ingest.waitFor([{ partition: 0, offset: next <= last ? next : last }], 60_000);
  if (next <= last) reached = false;
}
await ingest.stop();
await log.close();
await opened.close();
process.stdout.write('done\n');
