/**
 * Steps of states: many users at once against one event at a time, and what an event costs in ingest with
 * states and without. Ratios are of one run, the ways taking turns; processor time stands beside wall time,
 * since other jobs may hold the cores.
 *
 * Run: npm run bench:stepping -- [--events 500] [--items 4000] [--users 5000] [--rounds 40] [--batches 40]
 *                                [--no-database] [--json]
 */
import { parseArgs } from 'node:util';
import { createRandom } from '@nestrec/random';
import type { Cell } from '@nestrec/streaming';
import { withApplier, type ApplyCost } from './stepping/apply.js';
import { makeCatalogue, zipf } from './stepping/workload.js';

const { values: flags } = parseArgs({
  options: {
    events: { type: 'string', default: '500' },
    items: { type: 'string', default: '4000' },
    users: { type: 'string', default: '5000' },
    rounds: { type: 'string', default: '40' },
    batches: { type: 'string', default: '40' },
    'no-database': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
function number(name: 'events' | 'items' | 'users' | 'rounds' | 'batches'): number {
  const value = Number(flags[name]);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new Error(`--${name} is ${flags[name]}; wanted a whole number from 1`);
}

const [events, items, users] = [number('events'), number('items'), number('users')];

/** Ways to apply one batch of events, by name. */
type Step = Parameters<Cell['stepAll']>[0];
const WAYS = {
  oneByOne: (cell: Cell, batch: Step) => batch.forEach((e) => cell.step(e.state, e.item)),
  /** Every vector is new to the cell, as after a start. */
  batchOfNewItems: (cell: Cell, batch: Step) => {
    const fresh = new Map(batch.map(({ item }) => [item, item.slice()]));
    cell.stepAll(batch.map(({ state, item }) => ({ state, item: fresh.get(item)! })));
  },
  /** Vectors are those of earlier batches, as in a process that has run for a while. */
  batch: (cell: Cell, batch: Step) => cell.stepAll(batch),
};
type Way = keyof typeof WAYS;

/** Microseconds of processor time an event, by way. */
function measureSteps(dim: number, blocks: number) {
  const { cell, vectors } = makeCatalogue(1, { dim, blocks, items });
  const random = createRandom(dim + blocks);
  const states = Array.from({ length: users }, () => cell.emptyState());
  const draw = (): Step =>
    Array.from({ length: events }, () => ({
      state: states[random.int(users)]!,
      item: vectors[zipf(random, items)]!,
    }));
  cell.contributions(vectors);
  const spentUs: Record<Way, number> = { oneByOne: 0, batchOfNewItems: 0, batch: 0 };
  const warmUp = 3;
  for (let round = 0; round < warmUp + number('rounds'); round++) {
    const batch = draw();
    for (const way of Object.keys(WAYS) as Way[]) {
      const before = process.cpuUsage();
      WAYS[way](cell, batch);
      const { user, system } = process.cpuUsage(before);
      if (round >= warmUp) spentUs[way] += user + system;
    }
  }
  const each = (way: Way) => spentUs[way] / (number('rounds') * events);
  return {
    ...{ dim, blocks },
    oneByOneUs: each('oneByOne'),
    batchOfNewItemsUs: each('batchOfNewItems'),
    batchUs: each('batch'),
  };
}

/** Costs of ingest with and without states, in batches of two sizes, the four taking turns. */
async function measureIngest() {
  const shape = { dim: 256, blocks: 1, items, users };
  const batches = number('batches');
  return withApplier({ ...shape, publish: true }, (withStates) =>
    withApplier({ ...shape, publish: false }, async (without) => {
      const found = new Map<string, ApplyCost[]>();
      const turn = async (name: string, applier: typeof without, size: number, count: number) => {
        const cost = await applier.measure(count, size);
        found.set(name, [...(found.get(name) ?? []), cost]);
      };
      // Until every user has a state and most items were seen.
      await withStates.measure(Math.ceil((4 * users) / 1_000), 1_000);
      await without.measure(10, 1_000);
      for (let round = 0; round < 4; round++) {
        for (const size of [500, 1_000]) {
          const count = Math.ceil((batches * 500) / size / 4);
          await turn(`without states, ${size} records`, without, size, count);
          await turn(`with states, ${size} records`, withStates, size, count);
        }
      }
      return [...found].map(([name, costs]) => ({ name, ...total(costs) }));
    }),
  );
}

function total(costs: readonly ApplyCost[]) {
  const sum = (of: (cost: ApplyCost) => number) => costs.reduce((all, cost) => all + of(cost), 0);
  const each = (of: (cost: ApplyCost) => number) => (1_000 * sum(of)) / sum((c) => c.events);
  const names = [...new Set(costs.flatMap((cost) => cost.statements.map(([name]) => name)))];
  const statementsUs = names
    .map((name): [string, number] => [
      name,
      each((cost) => cost.statements.find(([other]) => other === name)?.[1] ?? 0),
    ])
    .sort((a, b) => b[1] - a[1]);
  return {
    eventsPerSecond: 1e6 / each((c) => c.wallMs),
    wallUs: each((c) => c.wallMs),
    ownUs: each((c) => c.ownMs),
    serverUs: each((c) => c.serverMs),
    statementsUs,
  };
}

const steps = [
  [256, 1],
  [64, 1],
  [256, 2],
  [64, 2],
].map(([dim, blocks]) => measureSteps(dim!, blocks!));
const ingest = flags['no-database'] ? [] : await measureIngest();

const us = (value: number) => value.toFixed(1);
const lines = [
  `${events} events a batch of ${users} users, ${items} items by a Zipf law; us of processor time an event:`,
  '',
  '| D | K | one at a time | batch, items new | batch, items known | ratio new | ratio known |',
  '|---|---|---|---|---|---|---|',
  ...steps.map(
    (s) =>
      `| ${s.dim} | ${s.blocks} | ${us(s.oneByOneUs)} | ${us(s.batchOfNewItemsUs)} | ${us(s.batchUs)} | ` +
      `${us(s.oneByOneUs / s.batchOfNewItemsUs)} | ${us(s.oneByOneUs / s.batchUs)} |`,
  ),
];
if (ingest.length > 0) {
  lines.push(
    ...['', 'Ingest at D = 256, K = 1 on a PostgreSQL of its own, us an event:', ''],
    '| batch | events/s | wall | processor, this process | processor, server |',
    '|---|---|---|---|---|',
    ...ingest.map(
      (row) =>
        `| ${row.name} | ${row.eventsPerSecond.toFixed(0)} | ${us(row.wallUs)} | ${us(row.ownUs)} | ${us(row.serverUs)} |`,
    ),
    ...['', 'Wall time of statements with states, 1,000 records, us an event:'],
    ...ingest.at(-1)!.statementsUs.map(([name, value]) => `${us(value).padStart(8)}  ${name}`),
  );
}
process.stdout.write(
  flags.json ? `${JSON.stringify({ steps, ingest })}\n` : `${lines.join('\n')}\n`,
);
