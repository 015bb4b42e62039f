/**
 * What training's input costs: peak memory of reading events, splitting them and going through one epoch of
 * batches, with events in memory and in a file; and steps per second with batches packed in the training
 * thread or in a worker thread.
 *
 * Run: npm run bench:data -- [--events 1000000,5000000,20000000] [--users 100000] [--items 20000]
 *                            [--batch 128] [--step-ms 10] [--folder .cache/bench-data] [--database] [--json]
 *
 * Rows are made up and go straight into `buildDataset`, as the pages of a database would; with --database they are
 * generated in a private PostgreSQL server and read from there. Users and items stay the same however many the
 * events, so that what grows is the events' doing. Each measurement is a process of its own:
 * peak memory is the highest resident set that the system saw. A "step" keeps the thread busy for --step-ms, as a
 * backend that computes on it does.
 */
import { spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { cpus } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildDataset, openBatches, Spill, splitTemporal, type Histories } from '@nestrec/dataset';
import { fitCooccurrence, fitMarkov, fitPopularity } from '@nestrec/evaluation';
import { createRandom } from '@nestrec/random';
import { fillDatabase, madeUpRows, storedRows } from './data/rows.js';
import { startPostgres } from '../helpers/postgres-server.js';

const { values: flags } = parseArgs({
  options: {
    events: { type: 'string', default: '1000000,5000000,20000000' },
    users: { type: 'string', default: '100000' },
    items: { type: 'string', default: '20000' },
    batch: { type: 'string', default: '128' },
    'step-ms': { type: 'string', default: '10' },
    folder: { type: 'string', default: '.cache/bench-data' },
    database: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    // Set by this program when it calls itself: which one measurement to take.
    measure: { type: 'string' },
  },
});

type Place = 'memory' | 'file';

interface Measurement {
  readonly events: number;
  readonly place: Place;
  /** Resident set before anything is read, and the peaks up to the end of each phase, in MB. */
  readonly startMb: number;
  readonly readMb: number;
  readonly epochMb: number;
  readonly baselinesMb: number;
  readonly readSeconds: number;
  readonly splitSeconds: number;
  readonly epochSeconds: number;
  readonly batches: number;
  readonly baselinesSeconds: number;
  readonly steps: StepRates;
}

/** Steps per second where a step takes as long as --step-ms, and the time to an epoch's first batch. */
type StepRates = Record<'thisThread' | 'worker', { perSecond: number; firstBatchMs: number }>;

const MAX_STEPS = 300;
const peakMb = () => process.resourceUsage().maxRSS / 1_000;
const seconds = (sinceMs: number) => (performance.now() - sinceMs) / 1_000;

const WINDOWS = { usersPerBatch: Number(flags.batch), maxLength: 50, windows: 'all' as const };

/** Goes through one epoch; returns how many batches it has. */
async function epoch(train: Histories): Promise<number> {
  const stream = openBatches(train, { ...WINDOWS, packedIn: 'this-thread' });
  const batches = stream.epoch(createRandom(2))[Symbol.asyncIterator]();
  let count = 0;
  while ((await batches.next()).done !== true) count++;
  await stream.close();
  return count;
}

function keepBusy(forMs: number): void {
  const untilMs = performance.now() + forMs;
  while (performance.now() < untilMs);
}

async function stepRate(train: Histories, packedIn: 'this-thread' | 'worker') {
  const openedMs = performance.now();
  const stream = openBatches(train, { ...WINDOWS, packedIn });
  const batches = stream.epoch(createRandom(2))[Symbol.asyncIterator]();
  await batches.next();
  const firstBatchMs = performance.now() - openedMs;
  const startedMs = performance.now();
  let steps = 0;
  do {
    keepBusy(Number(flags['step-ms']));
    await nextTurn();
    steps++;
  } while (steps < MAX_STEPS && (await batches.next()).done !== true);
  const perSecond = steps / seconds(startedMs);
  await stream.close();
  return { perSecond, firstBatchMs };
}

async function measure(events: number, place: Place, url: string | null): Promise<Measurement> {
  const [users, items] = [Number(flags.users), Number(flags.items)];
  const startMb = peakMb();
  await mkdir(flags.folder, { recursive: true });
  const spill = new Spill({ folder: flags.folder, eventsInMemory: 0 });
  let sinceMs = performance.now();
  const dataset = await buildDataset(
    url === null ? madeUpRows(events, users, items) : storedRows(url),
    place === 'file' ? { spill } : {},
  );
  const [readSeconds, readMb] = [seconds(sinceMs), peakMb()];
  sinceMs = performance.now();
  const shares = { validationFraction: 0.1, testFraction: 0.1 };
  const { train } = splitTemporal(dataset, shares, { maxCases: 100_000 });
  const splitSeconds = seconds(sinceMs);
  sinceMs = performance.now();
  const batches = await epoch(train);
  const [epochSeconds, epochMb] = [seconds(sinceMs), peakMb()];
  const steps = {
    thisThread: await stepRate(train, 'this-thread'),
    worker: await stepRate(train, 'worker'),
  };
  sinceMs = performance.now();
  for (const fit of [fitPopularity, fitMarkov, fitCooccurrence]) fit(train, items);
  const baselinesSeconds = seconds(sinceMs);
  spill.close();
  return {
    ...{ events, place, startMb, readMb, epochMb, baselinesMb: peakMb() },
    ...{ readSeconds, splitSeconds, epochSeconds, batches, baselinesSeconds, steps },
  };
}

/** The same measurement in a process of its own. */
function measureApart(events: number, place: Place, url: string | null): Measurement {
  const { status, stdout } = spawnSync(
    process.execPath,
    [
      ...process.execArgv,
      fileURLToPath(import.meta.url),
      ...process.argv.slice(2).filter((flag) => flag !== '--json'),
      ...['--measure', [events, place, ...(url === null ? [] : [url])].join(',')],
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (status !== 0)
    throw new Error(`the measurement of ${events} events (${place}) ended: ${status}`);
  return JSON.parse(stdout) as Measurement;
}

function line(m: Measurement): string {
  const cells = [
    m.events.toLocaleString('en'),
    m.place,
    ...[m.startMb, m.readMb, m.epochMb, m.baselinesMb].map((mb) => mb.toFixed(0)),
    ...[m.readSeconds, m.splitSeconds, m.epochSeconds, m.baselinesSeconds].map((s) => s.toFixed(1)),
    (m.batches / m.epochSeconds).toFixed(0),
    ...[m.steps.thisThread, m.steps.worker].map((r) => r.perSecond.toFixed(1)),
    ...[m.steps.thisThread, m.steps.worker].map((r) => r.firstBatchMs.toFixed(0)),
  ];
  return `| ${cells.join(' | ')} |`;
}

async function measureAll(sizes: readonly number[]): Promise<Measurement[]> {
  const server = flags.database ? await startPostgres() : null;
  const results: Measurement[] = [];
  try {
    for (const events of sizes) {
      const url =
        server === null
          ? null
          : await fillDatabase(server.url, events, Number(flags.users), Number(flags.items));
      for (const place of ['memory', 'file'] as const) {
        process.stderr.write(`${events} events, ${place}\n`);
        results.push(measureApart(events, place, url));
      }
    }
  } finally {
    await server?.stop();
  }
  return results;
}

if (flags.measure !== undefined) {
  const [events, place, url] = flags.measure.split(',');
  process.stdout.write(JSON.stringify(await measure(Number(events), place as Place, url ?? null)));
} else {
  const results = await measureAll(flags.events.split(',').map(Number));
  const { users, items, batch, 'step-ms': stepMs } = flags;
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}`;
  if (flags.json) {
    process.stdout.write(
      `${JSON.stringify({ machine, users, items, batch, stepMs, results }, null, 2)}\n`,
    );
  } else {
    const titles =
      '| events | where | start MB | read MB | epoch MB | baselines MB | read s | split s | epoch s | baselines s | batches/s | steps/s in thread | steps/s worker | first batch ms in thread | first batch ms worker |';
    const rule = titles.replace(/[^|]+/g, '---');
    process.stdout.write(
      `${machine}; ${users} users, ${items} items, ${batch} windows a batch, steps of ${stepMs} ms\n\n` +
        `${[titles, rule, ...results.map(line)].join('\n')}\n`,
    );
  }
}
