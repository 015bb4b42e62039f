/**
 * What an early exit saves and what it costs in quality.
 *
 * Costs: processor time of a query, of a step and of a session of 20 items at the exit after 1 of 2 blocks and at full
 * depth, random weights, the ways taking turns. Quality, where the folder of Amazon Beauty is given: short trainings
 * of one block, of two, and of two with an exit, NDCG@10 of each output with seen items masked.
 *
 * Run: npm run bench:exits -- [--data ../shared/data/amazon-beauty] [--sizes 16,32,64] [--epochs 3]
 *                             [--weights 1,0.3] [--seeds 1] [--part validation] [--no-costs]
 */
import { parseArgs } from 'node:util';
import type { ModelConfig, ModelExit } from '@nestrec/contracts';
import { splitLeaveOneOut } from '@nestrec/dataset';
import { metricsOfRanks } from '@nestrec/evaluation';
import { createRandom } from '@nestrec/random';
import { exitState, type Cell } from '@nestrec/streaming';
import { selectBackend } from '@nestrec/tensor';
import {
  createSettings,
  createTrainedModel,
  modelSwitches,
  rankPart,
  trainModel,
} from '@nestrec/training';
import { readBeauty } from './quality/beauty.js';
import { makeCatalogue, zipf } from './stepping/workload.js';

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string' },
    sizes: { type: 'string', default: '16,32,64' },
    epochs: { type: 'string', default: '3' },
    weights: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    part: { type: 'string', default: 'validation' },
    'no-costs': { type: 'boolean', default: false },
  },
});
const list = (text: string) => text.split(',').map(Number);
const say = (line: string) => process.stdout.write(`${line}\n`);

const BLOCKS = 2;
const ITEMS = 2_000;
const SESSION = 20;
const ROUNDS = 30;
const PER_ROUND = 20;

/** Processor time in microseconds of one call of each way, all taking turns. */
function takeTurns<T extends Record<string, () => void>>(ways: T): Record<keyof T, number> {
  const spent = new Map<string, number>();
  const warmUp = 10;
  for (let round = 0; round < warmUp + ROUNDS; round++) {
    for (const [name, act] of Object.entries(ways)) {
      const before = process.cpuUsage();
      for (let i = 0; i < PER_ROUND; i++) act();
      const { user, system } = process.cpuUsage(before);
      if (round >= warmUp) spent.set(name, (spent.get(name) ?? 0) + user + system);
    }
  }
  return Object.fromEntries(
    [...spent].map(([name, us]) => [name, us / (ROUNDS * PER_ROUND)]),
  ) as Record<keyof T, number>;
}

function measureCosts(dim: number): void {
  const { cell, vectors } = makeCatalogue(1, { dim, blocks: BLOCKS, items: ITEMS });
  const exit = cell.exit(1);
  const random = createRandom(dim);
  const draw = () => vectors[zipf(random, ITEMS)]!;
  const history = Array.from({ length: SESSION }, draw);
  const state = cell.fold(history);
  const early = exitState(state, 1);
  cell.contributions(vectors);
  const step = (one: Cell, at: typeof state) => one.stepAll([{ state: at, item: draw() }]);
  const us = takeTurns({
    queryFull: () => void cell.query(state),
    queryExit: () => void exit.query(early),
    stepFull: () => step(cell, state),
    stepExit: () => step(exit, early),
    sessionFull: () => void cell.query(cell.fold(history)),
    sessionExit: () => void exit.query(exit.fold(history)),
  });
  const row = [
    us.queryFull,
    us.queryExit,
    us.stepFull,
    us.stepExit,
    us.sessionFull,
    us.sessionExit,
  ];
  say(`| ${dim} | ${row.map((value) => value.toFixed(1)).join(' | ')} |`);
}

async function measureQuality(folder: string): Promise<void> {
  await selectBackend({ force: 'native' });
  const sizes = list(flags.sizes);
  const data = await readBeauty(folder, 'minilm', 1);
  const split = splitLeaveOneOut(data.dataset, { maxCases: 100_000 });
  const part = flags.part === 'test' ? 'test' : 'validation';
  const exit: ModelExit = { blocks: 1, dim: sizes.at(-1)! };
  const shapes = [
    { name: 'one block', blocks: 1, exits: undefined, exitWeight: 1 },
    { name: 'two blocks', blocks: BLOCKS, exits: undefined, exitWeight: 1 },
    ...list(flags.weights).map((exitWeight) => ({
      ...{ name: `two blocks, exit of weight ${exitWeight}`, blocks: BLOCKS },
      ...{ exits: [exit], exitWeight },
    })),
  ];
  say(`\nNDCG@10, ${part} cases, leave-one-out, seen items masked, ${flags.epochs} epochs\n`);
  say(
    `| training | seed | seconds | ${sizes.map((size) => `full ${size}`).join(' | ')} | ${sizes.map((size) => `exit ${size}`).join(' | ')} |`,
  );
  say(`|---|---|---|${'---|'.repeat(2 * sizes.length)}`);
  for (const seed of list(flags.seeds)) {
    for (const { name, blocks, exits, exitWeight } of shapes) {
      const config: ModelConfig = {
        ...{ ...modelSwitches('quality'), sizes, blocks, useBias: true, exits },
        ...{ featureWidth: data.featureWidth, numItems: data.dataset.itemIds.length },
      };
      const settings = createSettings('quality', sizes, {
        ...{ maxEpochs: Number(flags.epochs), patience: 0, exitWeight },
      });
      const input = { config, settings, split, features: data.features, seed };
      const { parameters, seconds } = await trainModel(input);
      const model = createTrainedModel(config, parameters, data.features);
      const asked = { split, numItems: config.numItems, model, text: null, maxLength: 50 };
      const figures = new Map(
        rankPart(asked, part, []).map(({ scorer, masked }) => [
          scorer,
          metricsOfRanks(masked, [10])['ndcg@10']!,
        ]),
      );
      model.dispose();
      const cells = ['model', 'exit1'].flatMap((output) =>
        sizes.map((size) => figures.get(`${output}@${size}`)?.toFixed(4).slice(1) ?? '-'),
      );
      say(`| ${name} | ${seed} | ${seconds.toFixed(0)} | ${cells.join(' | ')} |`);
    }
  }
}

if (!flags['no-costs']) {
  say('Microseconds of processor time, exit after 1 of 2 blocks, item contributions at hand\n');
  say(
    `| D | query full | query exit | step full | step exit | session of ${SESSION} full | exit |`,
  );
  say('|---|---|---|---|---|---|---|');
  for (const dim of [64, 128, 256]) measureCosts(dim);
}
if (flags.data !== undefined) await measureQuality(flags.data);
