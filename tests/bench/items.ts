/**
 * How many new items a minute become recommendable: over HTTP, into PostgreSQL with durability on, in every live
 * version with three indexes each; in bulk and one at a time, on this machine.
 *
 * Run: npm run bench:items -- [--items 100000] [--new 6000] [--single 300] [--dim 64] [--versions 2] [--json]
 *
 * The API runs in this process, so that the client's share is in the figures too. Beside wall time the processor
 * time of this process and of PostgreSQL is counted: on a machine that others use too, only that says what it costs.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { apiConfig, runApi, type RunningApi } from '@nestrec/api';
import { createClient, type NestrecClient } from '@nestrec/client';
import { migrate, openPostgres, type Database } from '@nestrec/database';
import { loadConfig, silentLogger } from '@nestrec/runtime';
import { createApiKey, ensureDefaultTiers } from '@nestrec/storage';
import { createDatabase } from '../helpers/postgres-template.js';
import { startPostgres } from '../helpers/postgres-server.js';
import { lastingPort } from '../helpers/processes.js';
import { catalogueItem } from '../helpers/published-artifact.js';
import { publishModel } from '../helpers/published-model.js';

const { values: flags } = parseArgs({
  options: {
    items: { type: 'string', default: '100000' },
    new: { type: 'string', default: '6000' },
    single: { type: 'string', default: '300' },
    dim: { type: 'string', default: '64' },
    versions: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
  },
});
const [ITEMS, NEW, SINGLE, DIM, VERSIONS] = (
  ['items', 'new', 'single', 'dim', 'versions'] as const
).map((name) => Number(flags[name])) as [number, number, number, number, number];
const PER_REQUEST = 1_000;
/** Three indexes: the smallest tiers and the full size. */
const SIZES = [DIM / 4, DIM / 2, DIM];

interface Measured {
  readonly perMinute: number;
  /** Processor time an item, of this process and of PostgreSQL. */
  readonly cpuMs: number;
}

interface Rate {
  readonly versions: number;
  readonly bulk: Measured;
  readonly single: Measured;
  /** Bulk against single in processor time, within this run. */
  readonly ratio: number;
}

const note = (text: string) => process.stderr.write(`${text}\n`);
let nextItem = ITEMS;
const newItems = (count: number) => Array.from({ length: count }, () => catalogueItem(nextItem++));

async function bulk(client: NestrecClient, db: Database): Promise<Measured> {
  const requests = Array.from({ length: Math.ceil(NEW / PER_REQUEST) }, () =>
    newItems(PER_REQUEST),
  );
  return measure(db, requests.length * PER_REQUEST, async () => {
    for (const items of requests) {
      const { created } = await client.putItems(items);
      if (created !== items.length) throw new Error(`${created} of ${items.length} were created`);
    }
  });
}

async function single(client: NestrecClient, db: Database): Promise<Measured> {
  const items = newItems(SINGLE);
  return measure(db, items.length, async () => {
    for (const { item_id: itemId, ...item } of items) await client.putItem(itemId, item);
  });
}

async function measure(db: Database, items: number, work: () => Promise<void>): Promise<Measured> {
  const [startMs, startCpuMs] = [performance.now(), await cpuMs(db)];
  await work();
  return {
    perMinute: Math.round((items / (performance.now() - startMs)) * 60_000),
    cpuMs: Math.round((((await cpuMs(db)) - startCpuMs) / items) * 100) / 100,
  };
}

const MS_PER_TICK = 10;

async function statOf(pid: number): Promise<string[]> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Processor time so far of this process and of the server's processes, those that ended included. */
async function cpuMs(db: Database): Promise<number> {
  const { user, system } = process.cpuUsage();
  const { rows } = await db.query<{ pid: number }>('SELECT pid FROM pg_stat_activity');
  let ticks = 0;
  let parent = 0;
  for (const { pid } of rows) {
    const fields = await statOf(pid);
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
    parent = Number(fields[1] ?? parent);
  }
  // The main process counts its children once they ended.
  const ended = await statOf(parent);
  ticks += Number(ended[13] ?? 0) + Number(ended[14] ?? 0);
  return (user + system) / 1_000 + ticks * MS_PER_TICK;
}

/** A failure keeps its name: an API that still runs would hide it behind one of the clean-up. */
const stopFirst =
  (api: RunningApi) =>
  async (error: unknown): Promise<never> => {
    await api.stop();
    throw error;
  };

async function main(): Promise<void> {
  const server = await startPostgres({ shared_buffers: '1GB', max_wal_size: '4GB' });
  const folder = await mkdtemp(join(tmpdir(), 'nestrec-bench-items-'));
  const { url } = await createDatabase(server.url);
  const db = await openPostgres({ url, max: 2, statementTimeoutMs: 600_000 });
  const rates: Rate[] = [];
  try {
    await migrate(db);
    await ensureDefaultTiers(db);
    const scopes = ['catalogue:write', 'recommend'] as const;
    const { key } = await createApiKey(db, { client: 'bench', tier: 'full', scopes });
    const port = await lastingPort();
    const env = { DATABASE_URL: url, PORT: String(port) };
    for (let versions = 1; versions <= VERSIONS; versions++) {
      note(`publishing version ${versions} of ${ITEMS} items at ${SIZES.join(', ')} ...`);
      const shape = { version: `v${versions}`, seed: versions, items: ITEMS, sizes: SIZES };
      await publishModel(db, folder, shape, [SIZES[0]!, SIZES[1]!, null]);
      const api = await runApi(loadConfig(apiConfig, env), silentLogger());
      const client = createClient({ url: api.url, key, timeoutMs: 300_000 });
      // The artifacts are read at the first write.
      await client.putItems(newItems(10));
      const one = await single(client, db).catch(stopFirst(api));
      const many = await bulk(client, db).catch(stopFirst(api));
      await api.stop();
      const ratio = Math.round((10 * one.cpuMs) / many.cpuMs) / 10;
      rates.push({ versions, bulk: many, single: one, ratio });
      note(`${versions} live: ${JSON.stringify({ bulk: many, single: one, ratio })}`);
    }
  } finally {
    await db.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
  report(rates);
}

function report(rates: readonly Rate[]): void {
  const result = { items: ITEMS, dim: DIM, indexes: SIZES, cpu: cpus()[0]?.model, rates };
  if (flags.json) {
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    return;
  }
  const lines = rates.map(
    ({ versions, bulk, single, ratio }) =>
      `| ${versions} | ${bulk.perMinute} | ${bulk.cpuMs} | ${single.perMinute} | ${single.cpuMs} | ${ratio} |`,
  );
  process.stdout.write(
    `${ITEMS} items x ${DIM}, indexes at ${SIZES.join(', ')}, ${result.cpu}\n\n` +
      '| live versions | in bulk, items/min | ms of processor an item | one at a time, items/min | ms of processor an item | ratio |\n' +
      '|---|---|---|---|---|---|\n' +
      `${lines.join('\n')}\n`,
  );
}

await main();
