/**
 * How many personalised recommendations a second the built API answers, and how fast: 100,000 items of a
 * trained model, real histories, PostgreSQL with durability on, the load generator on the same machine.
 *
 * Run: npm run bench:serve -- [--data ../shared/data/amazon-beauty] [--items 100000]
 *        [--dim 64] [--plan auto] [--rates 500,1000,1500]
 *        [--seconds 30] [--training] [--json]
 *
 * Open loop: each rate for so many seconds, after a warm-up; then as fast as 16 connections can, for the
 * greatest rate. Beside it /healthz on the same connections, the floor of HTTP alone: the ratio says what a
 * recommendation costs. `--training` repeats the first rate while a model is trained beside it, as the
 * trainer does it (nice 10, own process).
 */
import { spawn } from 'node:child_process';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Tier } from '@nestrec/contracts';
import { lastingPort } from '../helpers/processes.js';
import { startService } from './ingest/scene.js';
import { readLargeBeauty } from './retrieval/large-beauty.js';
import { trainedModel } from './retrieval/trained-model.js';
import { load, type Load } from './serve/load.js';
import { serveCatalogue } from './serve/scene.js';

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data/amazon-beauty' },
    items: { type: 'string', default: '100000' },
    dim: { type: 'string', default: '64' },
    plan: { type: 'string', default: 'auto' },
    rates: { type: 'string', default: '500,1000,1500' },
    seconds: { type: 'string', default: '30' },
    training: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const ITEMS = Number(flags.items);
const DIM = Number(flags.dim);
const SECONDS = Number(flags.seconds);
const SIZES = [16, 32, 64, 128, 256];
const EPOCHS = 4;
/** At the first rate: what is measured is a process that has served for a while. */
const WARM_UP_SECONDS = 10;
const CONNECTIONS = 32;
const CACHE = fileURLToPath(new URL('../../.cache/bench', import.meta.url));

const note = (line: string) => process.stderr.write(`${line}\n`);

/** Another process that trains such a model until it is ended, which is a failure where it ends by itself. */
function trainBeside(): { stop(): void } {
  const program = fileURLToPath(new URL('./large-catalogue.ts', import.meta.url));
  const args = ['--items', String(ITEMS), '--dims', '256', '--steps', '100000', '--cases', '100'];
  const child = spawn(
    'nice',
    ['-n', '10', process.execPath, ...process.execArgv, program, ...args],
    { stdio: 'ignore' },
  );
  return {
    stop: () => {
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`the training beside it ended by itself, with ${child.exitCode}`);
      }
      child.kill('SIGKILL');
    },
  };
}

interface Row extends Load {
  readonly name: string;
}

const model = await trainedModel({
  ...{ data: flags.data, cache: CACHE, items: ITEMS, sizes: SIZES, epochs: EPOCHS, note },
});
const data = await readLargeBeauty(flags.data, ITEMS, 1);
const tier: Tier = {
  ...{
    name: 'bench',
    max_dim: DIM,
    exit_blocks: null,
    max_k: 100,
    plan: flags.plan as Tier['plan'],
  },
  ...{ requests_per_second: null, burst: null, max_concurrency: null, overload: 'refuse' },
};
const served = await serveCatalogue({ ...model, data, tiers: [tier], note });
const port = await lastingPort();
const url = `http://127.0.0.1:${port}`;
const api = await startService(
  'api',
  { DATABASE_URL: served.url, PORT: String(port), NESTREC_LOG_LEVEL: 'warn' },
  '',
);
const rows: Row[] = [];
try {
  const key = await served.keyFor(tier.name);
  const paths = served.userIds.map((user) => `/v1/users/${user}/recommendations?k=10`);
  const common = { url, key, paths, connections: CONNECTIONS };
  await answering(`${url}/readyz`);
  const rates = flags.rates.split(',').map(Number);
  await load({ ...common, rate: rates[0]!, seconds: WARM_UP_SECONDS });
  const measure = async (name: string, options: Partial<Parameters<typeof load>[0]>) => {
    const row = { name, ...(await load({ ...common, rate: null, seconds: SECONDS, ...options })) };
    rows.push(row);
    note(render(row));
  };
  for (const rate of rates) await measure(`${rate}/s`, { rate });
  await measure('as fast as it goes', { connections: 16 });
  await measure('/healthz, as fast as it goes', { connections: 16, paths: ['/healthz'] });
  if (flags.training) {
    const rate = rates[0]!;
    const training = trainBeside();
    try {
      await measure(`${rate}/s beside a training`, { rate, seconds: 2 * SECONDS });
    } finally {
      training.stop();
    }
  }
} finally {
  await api.stop();
  await served.close();
}

async function answering(address: string): Promise<void> {
  for (let tries = 0; tries < 1_200; tries++) {
    const ready = await fetch(address).then(
      (answer) => answer.ok,
      () => false,
    );
    if (ready) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${address} did not answer with 200 within 120 s`);
}

function render({ name, perSecond, p50Ms, p99Ms, answers, failures }: Row): string {
  return `${name}: ${perSecond.toFixed(0)}/s, p50 ${p50Ms} ms, p99 ${p99Ms} ms, ${answers} answers, ${failures} failures`;
}

const fastest = rows.find((row) => row.name === 'as fast as it goes')!;
const floor = rows.find((row) => row.name.startsWith('/healthz'))!;
const result = {
  ...{ items: ITEMS, dim: DIM, machine: `${cpus().length} x ${cpus()[0]?.model}`, rows },
  shareOfFloor: fastest.perSecond / floor.perSecond,
};
process.stdout.write(
  flags.json
    ? `${JSON.stringify(result)}\n`
    : `${rows.map(render).join('\n')}\nof /healthz: ${result.shareOfFloor.toFixed(2)}\n`,
);
