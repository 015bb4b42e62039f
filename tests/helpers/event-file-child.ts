/**
 * Reads events into a file and goes on reading batches from it, to be killed: prints `file`, then a line per
 * batch.
 *
 *   node --conditions=@nestrec/source --import tsx tests/helpers/event-file-child.ts FOLDER
 */
import { readlinkSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildDataset, Histories, openBatches, Spill, type DatasetRow } from '@nestrec/dataset';
import { createRandom } from '@nestrec/random';

const folder = process.argv[2]!;
const rows = Array.from({ length: 5_000 }, (_, e): DatasetRow => ({
  userId: `u${String(Math.floor(e / 10)).padStart(4, '0')}`,
  itemId: `i${e % 97}`,
  timestampMs: e,
  eventId: String(e % 10),
}));
const spill = new Spill({ folder, eventsInMemory: 100 });
const dataset = await buildDataset([rows], { spill });
/** Files of the folder that this process holds open, whether they have a name or not. */
const held = readdirSync('/proc/self/fd').filter((fd) => {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder);
  } catch {
    return false;
  }
});
process.stdout.write(`files ${held.length}\n`);
const stream = openBatches(Histories.of(dataset), {
  ...{ usersPerBatch: 4, maxLength: 5, windows: 'all' },
});
for (let epoch = 1; ; epoch++)
  for await (const batch of stream.epoch(createRandom(epoch))) {
    process.stdout.write(`batch of ${batch.rows}\n`);
    await sleep(5);
  }
