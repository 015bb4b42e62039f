/** Verification beside writers at full speed: a snapshot raises no false alarm, its absence would. */
import type { Database } from '@nestrec/database';
import { selectBackend } from '@nestrec/tensor';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openTestPostgres, postgresMissing, type TestDatabase } from '../helpers/databases.js';
import { recordOf } from '../helpers/ingest-harness.js';
import { catalogueItem, itemIdOf, makeArtifact } from '../helpers/published-artifact.js';
import {
  ingestOf,
  publish,
  putItem,
  randomEvents,
  verify,
  wipeAll,
} from '../helpers/state-verification.js';

beforeAll(() => selectBackend({ force: 'cpu' }));

/** The same database, whose transactions do not hold a snapshot: the deliberately broken twin. */
const withoutSnapshots = (db: Database): Database => ({
  ...db,
  transaction: (work) => work({ query: db.query, execute: () => Promise.resolve() }),
});

const missing = postgresMissing();
describe.skipIf(missing !== null)(`states of a live ingest (${missing ?? 'PostgreSQL'})`, () => {
  let opened: TestDatabase;
  let db: Database;
  beforeAll(async () => {
    opened = await openTestPostgres();
    db = opened.db;
  });
  afterAll(() => opened.dispose());
  beforeEach(() => wipeAll(db));

  /** Runs `look` again and again while events and item changes are written; ends when `until` says so. */
  const beside = async (
    look: (artifact: ReturnType<typeof makeArtifact>) => Promise<number>,
    until: (looks: number, alarms: number) => boolean,
  ) => {
    const artifact = makeArtifact({ version: 'v1' });
    await publish(db, artifact);
    const run = await ingestOf(db, [artifact], { settings: { verifyIntervalMs: 1 } });
    const events = randomEvents(5, { count: 100_000 });
    let [at, puts, done] = [0, 0, false];
    const deliver = async () => {
      while (!done && at < events.length) {
        await run.deliver(...events.slice(at, (at += 10)).map(recordOf));
      }
    };
    const change = async () => {
      while (!done) {
        const title = `thing ${puts}`;
        await putItem(db, [artifact], { ...catalogueItem(puts % 60), title });
        puts += 1;
      }
    };
    const writers = [deliver(), change()];
    let [looks, alarms] = [0, 0];
    while (!until(looks, alarms) && at < events.length) {
      alarms += await look(artifact);
      looks += 1;
    }
    done = true;
    await Promise.all(writers);
    await run.ingest.stop();
    return { artifact, run, looks, alarms, at, puts };
  };

  it('agree in every look, while events come and item vectors change', async () => {
    let compared = 0;
    const { artifact, run, looks, alarms, at, puts } = await beside(
      async (one) => {
        const { findings, mismatches } = await verify(db, one);
        compared += findings.same;
        return mismatches;
      },
      (n) => n >= 40,
    );
    expect({ looks, alarms }).toEqual({ looks: 40, alarms: 0 });
    expect(at).toBeGreaterThan(40);
    expect(puts).toBeGreaterThan(4);
    expect(compared).toBeGreaterThan(200);
    // The sampler looked all the time too.
    expect(await run.metric('rec_states_verified_total')).toBeGreaterThan(4);
    expect(await run.metric('rec_state_mismatch_total')).toBe(0);
    // Items whose events the states took in last may have changed since; whatever is compared is right.
    expect(await verify(db, artifact)).toMatchObject({ passed: true });
    await run.events({ id: 'last', user: 'u0', item: itemIdOf(1), ago: 0 });
    expect(await verify(db, artifact)).toMatchObject({ passed: true });
  });

  it('would raise false alarms if they were read without one snapshot', async () => {
    const { alarms } = await beside(
      async (one) => (await verify(withoutSnapshots(db), one)).mismatches,
      (_looks, found) => found > 0,
    );
    expect(alarms).toBeGreaterThan(0);
  });
});
