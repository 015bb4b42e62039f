/**
 * What each plan of retrieval costs and finds: recall@20 against the exact ranking, searches a second, p50 and
 * p99, bytes of the index and the time to build it, on vectors of a trained model.
 *
 * Run: npm run bench:retrieval -- [--data ../shared/data/amazon-beauty] [--items 100000] [--trained 100000]
 *        [--dim 256] [--databases postgres,pglite] [--queries 200] [--seconds 5]
 *        [--recall 0.95] [--only 2,3] [--json]
 *
 * Every index is walked as little as finds `--recall` (.95), then timed on two connections (PGlite has one).
 * Rows at a size below D are judged by the ranking of that size: what a smaller tier gets. Rows at D say how
 * the whole ranking is found, with `x` the throughput over the full-size index, which takes turns with every
 * one of them. `--only` takes places in the list of variants, from 0; the full-size index is always there.
 */
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { migrate, openPglite, openPostgres, type Database } from '@nestrec/database';
import {
  boundSearch,
  exactSearch,
  indexSearch,
  itemVectorsTable,
  type IndexForm,
  type StoredIndex,
} from '@nestrec/storage';
import {
  buildIndex,
  dropIndex,
  type BuildSettings,
} from '../../packages/publishing/src/prefix-indexes.js';
import { likenessOrder } from '../../packages/features/src/likeness-order.js';
import {
  createVectorTable,
  insertTrainedVectors,
} from '../../packages/publishing/src/vector-table.js';
import { startPostgres } from '../helpers/postgres-server.js';
import { createDatabase } from '../helpers/postgres-template.js';
import { userQueries, vectorBlocks } from './retrieval/catalogue.js';
import { readLargeBeauty } from './retrieval/large-beauty.js';
import {
  answerExactly,
  recallOf,
  speedsOf,
  type Searches,
  type Speed,
  type StatementOf,
} from './retrieval/measure.js';
import { trainedModel } from './retrieval/trained-model.js';

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data/amazon-beauty' },
    items: { type: 'string', default: '100000' },
    trained: { type: 'string', default: '100000' },
    dim: { type: 'string', default: '256' },
    databases: { type: 'string', default: 'postgres,pglite' },
    queries: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '5' },
    recall: { type: 'string', default: '0.95' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const ITEMS = Number(flags.items);
const DIM = Number(flags.dim);
const SIZES = [16, 32, 64, 128, 256, 512, 1024].filter((size) => size <= DIM);
const WANTED_RECALL = Number(flags.recall);
const VERSION = 'bench';
const EPOCHS = 4;
const BLOCK = 2_000;
const ORDERED_DIM = Math.min(32, DIM);
const CACHE = fileURLToPath(new URL('../../.cache/bench', import.meta.url));
const EF_LADDER = [20, 30, 40, 50, 60, 70, 80, 90, 100, 115, 130, 160, 200, 300, 400, 600, 1_000];

const note = (line: string) => process.stderr.write(`${line}\n`);

/** A way to serve `dim`; without a form every row is read. */
interface Variant {
  readonly plan: 'exact' | 'prefix' | 'staged' | 'bound';
  readonly dim: number;
  readonly form: IndexForm | null;
  readonly build: BuildSettings;
}

const DENSE: BuildSettings = { m: 16, efConstruction: 100 };
const SPARSE: BuildSettings = { m: 8, efConstruction: 200 };
const MIDDLE: BuildSettings = { m: 12, efConstruction: 200 };
const NONE: BuildSettings = { m: 0, efConstruction: 0 };
const form = (kind: IndexForm['kind'], dim: number): IndexForm => ({
  ...{ kind, dim, metric: kind === 'bit' ? 'hamming' : 'inner_product' },
});

/** What the others are compared with. */
const FULL_SIZE: Variant = {
  ...{ plan: 'prefix', dim: DIM, form: form('vector', DIM), build: DENSE },
};

function variants(): Variant[] {
  const smaller = SIZES.filter((size) => size < DIM);
  const half = smaller.at(-1)!;
  return [
    { plan: 'exact', dim: DIM, form: null, build: NONE },
    { plan: 'prefix', dim: DIM, form: form('halfvec', DIM), build: DENSE },
    { plan: 'staged', dim: DIM, form: form('halfvec', half), build: SPARSE },
    { plan: 'staged', dim: DIM, form: form('halfvec', half), build: MIDDLE },
    { plan: 'bound', dim: DIM, form: form('halfvec', half), build: SPARSE },
    { plan: 'staged', dim: DIM, form: form('halfvec', smaller.at(-2) ?? half), build: DENSE },
    { plan: 'staged', dim: DIM, form: form('bit', DIM), build: DENSE },
    ...smaller.map((dim): Variant => ({
      ...{ plan: 'prefix', dim, form: form('halfvec', dim), build: DENSE },
    })),
  ];
}

interface Row extends Speed {
  readonly database: string;
  /** Searches a second over those by the full-size index; null where the size is another. */
  readonly timesFull: number | null;
  readonly plan: string;
  readonly dim: number;
  readonly index: string;
  readonly walk: number | null;
  readonly recall: number;
  readonly megabytes: number;
  readonly buildSeconds: number;
}

function statementFor({ plan }: Variant, index: StoredIndex, efSearch: number): StatementOf {
  return (search) => {
    const isPrefix = plan === 'prefix';
    const by = {
      ...{ form: index, efSearch, refuse: isPrefix ? ('index' as const) : ('list' as const) },
      shortlist: isPrefix ? search.limit : Math.max(efSearch, search.limit),
    };
    return plan === 'bound'
      ? boundSearch(search, { by, dim: index.dim, sizes: SIZES.filter((size) => size <= DIM) })
      : indexSearch(search, by);
  };
}

/** A variant whose index stands, walked as far as it has to be. */
interface Way {
  readonly index: StoredIndex | null;
  readonly walk: number | null;
  readonly recall: number;
  readonly statementOf: StatementOf;
}

async function prepare(db: Database, variant: Variant, answers: Searches): Promise<Way> {
  if (variant.form === null) {
    return { index: null, walk: null, recall: 1, statementOf: exactSearch };
  }
  const index = await buildIndex(db, VERSION, variant.form, DIM, variant.build);
  // Only then the plans know that there is an index.
  await db.execute(`ANALYZE ${itemVectorsTable(VERSION)}`);
  let walk = EF_LADDER[0]!;
  let recall = 0;
  for (const efSearch of variant.plan === 'bound' ? [100] : EF_LADDER) {
    walk = efSearch;
    recall = await recallOf(db, answers, statementFor(variant, index, walk));
    if (recall >= WANTED_RECALL) break;
  }
  return { index, walk, recall, statementOf: statementFor(variant, index, walk) };
}

async function measure(
  db: Database,
  variant: Variant,
  way: Way,
  full: Way,
  answers: Searches,
): Promise<Omit<Row, 'database'>> {
  const load = { connections: db.kind === 'postgres' ? 2 : 1, seconds: Number(flags.seconds) };
  const { plan, dim } = variant;
  const { index, walk, recall } = way;
  const beside = dim === DIM && way !== full ? [full.statementOf] : [];
  const [own, other] = await speedsOf(db, answers, [way.statementOf, ...beside], load);
  const against = way === full ? own! : other;
  return {
    ...{ plan, dim, walk, recall, ...own! },
    timesFull: against === undefined ? null : own!.perSecond / against.perSecond,
    index: index === null ? '-' : `${index.kind} ${index.dim}, m ${index.m}`,
    megabytes: (index?.bytes ?? 0) / 1e6,
    buildSeconds: (index?.buildMs ?? 0) / 1_000,
  };
}

function render(row: Row): string {
  const cells = [
    ...[row.database, row.plan, row.dim, row.index, row.walk ?? '-', row.recall.toFixed(3)],
    ...[row.perSecond.toFixed(0), row.timesFull?.toFixed(2) ?? ''],
    ...[row.p50Ms.toFixed(2), row.p99Ms.toFixed(2)],
    ...[row.megabytes.toFixed(1), row.buildSeconds.toFixed(1)],
  ];
  return `| ${cells.join(' | ')} |`;
}

/** Rows as publishing writes them: like items beside each other. */
async function fill(db: Database): Promise<void> {
  await migrate(db);
  await createVectorTable(db, VERSION, SIZES);
  const itemIds: string[] = [];
  const vectors: Float32Array[] = [];
  for (const block of vectorBlocks(model.artifact, ITEMS, BLOCK)) {
    itemIds.push(...block.itemIds);
    vectors.push(...block.vectors);
  }
  const prefixes = new Float32Array(ITEMS * ORDERED_DIM);
  vectors.forEach((vector, row) =>
    prefixes.set(vector.subarray(0, ORDERED_DIM), row * ORDERED_DIM),
  );
  const order = await likenessOrder(prefixes, ORDERED_DIM);
  for (let from = 0; from < ITEMS; from += BLOCK) {
    const rows = Array.from(order.subarray(from, from + BLOCK), (row) => ({
      ...{ itemId: itemIds[row]!, vector: vectors[row]!, trained: true },
    }));
    await insertTrainedVectors(db, VERSION, rows, new Date().toISOString());
  }
  await db.execute(`VACUUM ANALYZE ${itemVectorsTable(VERSION)}`);
}

const model = await trainedModel({
  ...{ data: flags.data, cache: CACHE, items: Number(flags.trained), sizes: SIZES, epochs: EPOCHS },
  note,
});
const data = await readLargeBeauty(flags.data, Number(flags.trained), 1);
const queries = userQueries(model.artifact, data, Number(flags.queries));
const rows: Row[] = [];

async function benchmark(name: string, db: Database): Promise<void> {
  const startedMs = performance.now();
  await fill(db);
  note(`${name}: ${ITEMS} rows in ${((performance.now() - startedMs) / 1_000).toFixed(0)} s`);
  const target = { table: itemVectorsTable(VERSION), fullDim: DIM };
  const known = new Map<number, Searches>();
  const answersAt = async (dim: number) => {
    const cut = queries.map((query) => query.subarray(0, dim));
    const answers = known.get(dim) ?? (await answerExactly(db, target, cut, exactSearch));
    known.set(dim, answers);
    return answers;
  };
  const full = await prepare(db, FULL_SIZE, await answersAt(DIM));
  for (const [place, variant] of [FULL_SIZE, ...variants()].entries()) {
    const isWanted = flags.only?.split(',').includes(String(place - 1)) ?? true;
    if (variant !== FULL_SIZE && !isWanted) continue;
    const answers = await answersAt(variant.dim);
    const way = variant === FULL_SIZE ? full : await prepare(db, variant, answers);
    const row = { database: name, ...(await measure(db, variant, way, full, answers)) };
    if (way.index !== null && way !== full) await dropIndex(db, way.index.name);
    rows.push(row);
    note(render(row));
  }
}

for (const name of flags.databases.split(',')) {
  if (name === 'pglite') {
    const db = await openPglite();
    await benchmark(name, db);
    await db.close();
    continue;
  }
  const server = await startPostgres({
    ...{ shared_buffers: '4GB', maintenance_work_mem: '2GB', max_wal_size: '8GB', jit: 'off' },
  });
  try {
    const { url } = await createDatabase(server.url);
    const db = await openPostgres({ url, max: 3, statementTimeoutMs: 0 });
    await benchmark(name, db);
    await db.close();
  } finally {
    await server.stop();
  }
}

const machine = `${cpus().length} x ${cpus()[0]?.model}`;
process.stdout.write(
  flags.json
    ? `${JSON.stringify({ items: ITEMS, dim: DIM, machine, rows })}\n`
    : [
        `${ITEMS} items, ${DIM} dimensions, ${queries.length} queries; ${machine}`,
        '| database | plan | dim | index | walk | recall@20 | searches/s | x | p50 ms | p99 ms | MB | build s |',
        '|---|---|---|---|---|---|---|---|---|---|---|---|',
        ...rows.map(render),
        '',
      ].join('\n'),
);
