/**
 * How fast ingest applies a Kafka topic, and how soon an event changes a recommendation: our own built processes,
 * a real broker and a real PostgreSQL with durability on, all on this machine.
 *
 * Run: npm run build && npm run bench:ingest -- [--events 100000] [--rounds 3] [--dim 256] [--rate 500]
 *                                               [--seconds 30] [--json]
 *
 * Throughput: the same topic is applied to new databases in turns, round by round: with states stepped; without
 * (no model published); and with states but a transaction per record. Rates are those from the first to the last
 * commit. Latency: `rate` events/s are posted to the API, and ten times a second one more is posted and the user's
 * recommendations are asked for with its token: the time from the post to the answer that knows the event.
 */
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { lastingPort } from '../helpers/processes.js';
import { startKafka } from '../helpers/kafka-server.js';
import { startPostgres } from '../helpers/postgres-server.js';
import { measureLatency, type Latency } from './ingest/latency.js';
import { fillTopic, makeScene, startService, type Scene, type Service } from './ingest/scene.js';

const { values: flags } = parseArgs({
  options: {
    events: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '3' },
    dim: { type: 'string', default: '256' },
    rate: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '30' },
    json: { type: 'boolean', default: false },
  },
});
const EVENTS = Number(flags.events);
const ROUNDS = Number(flags.rounds);
const DIM = Number(flags.dim);
const USERS = 20_000;
const ITEMS = 2_000;
/** A transaction per record is slow: this many are enough to know how slow. */
const ROW_EVENTS = Math.min(EVENTS, 5_000);
const SIZES = [16, 32, 64, 128, 256, 512, 1024].filter((size) => size <= DIM);

const VARIANTS = ['state', 'no state', 'row at a time'] as const;
type Variant = (typeof VARIANTS)[number];

interface Rate {
  readonly variant: Variant;
  readonly eventsPerSecond: number;
  /** Of the ingest process per event, microseconds. */
  readonly cpuMicroseconds: number;
}

const note = (text: string) => process.stderr.write(`${text}\n`);

async function applied(scene: Scene): Promise<number> {
  const { rows } = await scene.db.query<{ applied: string | null }>(
    'SELECT sum(next_offset) AS applied FROM consumer_positions',
  );
  return Number(rows[0]!.applied ?? 0);
}

interface Context {
  readonly databaseUrl: string;
  readonly brokers: string;
  readonly topic: string;
  readonly deadLetterTopic: string;
}

let groups = 0;
async function ingestEnv(scene: Scene, context: Context): Promise<Record<string, string>> {
  return {
    DATABASE_URL: scene.url,
    KAFKA_BROKERS: context.brokers,
    KAFKA_TOPIC: context.topic,
    KAFKA_DEAD_LETTER_TOPIC: context.deadLetterTopic,
    KAFKA_CONSUMER_GROUP: `bench-${(groups += 1)}`,
    NESTREC_INGEST_PORT: String(await lastingPort()),
  };
}

async function measureRate(variant: Variant, context: Context): Promise<Rate> {
  const model = variant === 'no state' ? null : { sizes: SIZES, items: ITEMS };
  const scene = await makeScene(context.databaseUrl, model);
  const rows = variant === 'row at a time';
  const env = await ingestEnv(scene, context);
  if (rows) env['NESTREC_INGEST_BATCH'] = '1';
  const ingest = await startService('ingest', env, 'applying events');
  try {
    return { variant, ...(await follow(scene, ingest, rows ? ROW_EVENTS : EVENTS)) };
  } finally {
    await ingest.stop();
    await scene.close();
  }
}

/** The rate from the first commit that is seen to the one that reaches `target`. */
async function follow(
  scene: Scene,
  ingest: Service,
  target: number,
): Promise<Omit<Rate, 'variant'>> {
  const look = async () => ({
    count: await applied(scene),
    atMs: performance.now(),
    cpuSeconds: await ingest.cpuSeconds(),
  });
  let first = await look();
  for (;;) {
    const now = await look();
    if (first.count === 0) first = now;
    const events = now.count - first.count;
    if (now.count >= target) {
      return {
        eventsPerSecond: (1_000 * events) / (now.atMs - first.atMs),
        cpuMicroseconds: (1e6 * (now.cpuSeconds - first.cpuSeconds)) / events,
      };
    }
    await sleep(20);
  }
}

async function main(): Promise<void> {
  note('starting PostgreSQL and Kafka ...');
  const [postgres, kafka] = await Promise.all([startPostgres(), startKafka()]);
  try {
    const { brokers } = kafka;
    note(`writing ${EVENTS} events ...`);
    const topics = await fillTopic(brokers, { count: EVENTS, users: USERS, items: ITEMS });
    const context: Context = { databaseUrl: postgres.url, brokers, ...topics };
    const rates: Rate[] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      for (const variant of VARIANTS) {
        const rate = await measureRate(variant, context);
        note(`round ${round}, ${variant}: ${Math.round(rate.eventsPerSecond)} events/s`);
        rates.push(rate);
      }
    }
    note(`posting ${flags.rate} events/s for ${flags.seconds} s ...`);
    const scene = await makeScene(postgres.url, { sizes: SIZES, items: ITEMS });
    const empty = await fillTopic(brokers, { count: 0, users: 1, items: 1 });
    const latency = await measureLatency({
      ...{ scene, items: ITEMS, rate: Number(flags.rate), seconds: Number(flags.seconds) },
      ...{ apiPort: await lastingPort(), env: await ingestEnv(scene, { ...context, ...empty }) },
    });
    await scene.close();
    report(rates, latency);
  } finally {
    await Promise.all([postgres.stop(), kafka.stop()]);
  }
}

function report(rates: readonly Rate[], latency: Latency): void {
  const medianOf = (variant: Variant, key: 'eventsPerSecond' | 'cpuMicroseconds') => {
    const values = rates.filter((rate) => rate.variant === variant).map((rate) => rate[key]);
    return values.sort((a, b) => a - b)[values.length >> 1]!;
  };
  const state = medianOf('state', 'eventsPerSecond');
  const table = VARIANTS.map((variant) => ({
    variant,
    eventsPerSecond: Math.round(medianOf(variant, 'eventsPerSecond')),
    cpuMicrosecondsPerEvent: Math.round(medianOf(variant, 'cpuMicroseconds')),
    stateIsTimesAsFast: Number((state / medianOf(variant, 'eventsPerSecond')).toFixed(2)),
  }));
  const machine = `${cpus().length} x ${cpus()[0]!.model}, Node ${process.versions.node}`;
  if (flags.json) {
    const settings = { dim: DIM, events: EVENTS, rounds: ROUNDS };
    process.stdout.write(`${JSON.stringify({ machine, ...settings, table, latency }, null, 2)}\n`);
    return;
  }
  const { probes, missed, postedPerSecond, p50Ms, p99Ms, mostMs } = latency;
  const lines = [
    `${machine}; D = ${DIM}, K = 1, ${EVENTS} events, median of ${ROUNDS} rounds`,
    ...table.map(
      (row) =>
        `${row.variant.padEnd(14)} ${String(row.eventsPerSecond).padStart(6)} events/s  ` +
        `${String(row.cpuMicrosecondsPerEvent).padStart(5)} us of ingest's processor time per event  ` +
        `state / this = ${row.stateIsTimesAsFast}`,
    ),
    `event -> changed recommendation at ${Math.round(postedPerSecond)} events/s: p50 ` +
      `${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, most ${mostMs.toFixed(1)} ms ` +
      `(${probes} probes, ${missed} missed)`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

await main();
