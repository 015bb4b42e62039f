/** The model and the events of the kill tests: the same in the test and in the process it kills. */
import { createRandom } from '@nestrec/random';
import { recordOf, testVersion, type TestVersion } from './ingest-harness.js';

const USERS = 200;
const ITEMS = 12;
/** Long memory, so that an event lost early still shows at the end. */
export const CRASH_SHAPE = { items: ITEMS, blocks: 1, rMax: 0.95 };

export const crashVersion = (seed: number): TestVersion =>
  testVersion('v1', { seed, ...CRASH_SHAPE });

/** Records of the log: one in ten is an earlier one again, one in twenty is late. */
export function crashRecords(seed: number, count: number): { key: string; value: Uint8Array }[] {
  const random = createRandom(seed);
  const records: { key: string; value: Uint8Array }[] = [];
  while (records.length < count) {
    const n = records.length;
    if (n > 0 && random.uniform() < 0.1) {
      records.push(records[random.int(n)]!);
      continue;
    }
    const late = random.uniform() < 0.05 ? 30 + random.int(2_000) : 0;
    records.push(
      recordOf({
        id: `e${n}`,
        user: `u${random.int(USERS)}`,
        item: `i${random.int(ITEMS)}`,
        ago: count - n + late,
      }),
    );
  }
  return records;
}
