/**
 * Items that came after the training, on Amazon Beauty: a share of the items is taken out of training (their events and
 * thereby their residuals), then events that ask for them are ranked among all items, beside events of other items.
 *
 * Run: npm run bench:cold -- --data ../shared/data/amazon-beauty --backend native [--share 0.05] [--epochs 8]
 *   [--sizes 16,32,64,128,256] [--seed 1] [--set NAME=JSON] [--trained FOLDER] [--json]
 *
 * Prints NDCG@10 by size, seen items masked, of the text-only model (trained without residual), of the model whose cold
 * items have no residual, and of the model that fills it as its training chose. With --trained the trainings'
 * parameters are kept there and taken where they are there already, and one that was killed goes on. They are told apart
 * by seed, share, sizes and epochs alone: another folder for another recipe.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { NamedArrays } from '@nestrec/contracts';
import { splitLeaveOneOut } from '@nestrec/dataset';
import { BACKENDS, selectBackend } from '@nestrec/tensor';
import { decodeSafetensors, encodeSafetensors } from '@nestrec/tensor-files';
import {
  createSettings,
  learnColdItems,
  modelSwitches,
  trainModel,
  type TrainingProgress,
  type TrainModelInput,
  type TrainingSettings,
} from '@nestrec/training';
import {
  allVectors,
  chosen,
  ndcgAmong,
  rowsOf,
  withoutItems,
  type ColdModel,
} from '../helpers/cold-split.js';
import { readBeauty } from './quality/beauty.js';
import { figure } from './quality/table.js';

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string' },
    share: { type: 'string', default: '0.05' },
    epochs: { type: 'string' },
    sizes: { type: 'string', default: '16,32,64,128,256' },
    seed: { type: 'string', default: '1' },
    backend: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    trained: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const sizes = flags.sizes.split(',').map(Number);
const seed = Number(flags.seed);
const overrides = Object.fromEntries(
  flags.set.map((text) => [
    text.slice(0, text.indexOf('=')),
    JSON.parse(text.slice(text.indexOf('=') + 1)) as unknown,
  ]),
) as Partial<TrainingSettings>;
const note = (text: string) => process.stderr.write(`${text}\n`);

const { line } = await selectBackend({ force: BACKENDS.find((name) => name === flags.backend) });
note(line);
if (flags.data === undefined) throw new Error('--data FOLDER is needed');
const data = await readBeauty(flags.data, 'minilm', seed);
const { featureWidth, features, spec } = data;
const whole = splitLeaveOneOut(data.dataset);
const cold = withoutItems(whole, data.dataset.itemIds.length, Number(flags.share), seed);
note(`${cold.warm.length} items to learn, ${cold.cold.length} taken out`);
const isCold = new Set(cold.cold);
const questions = {
  cold: chosen(whole.cases('test'), (target) => isCold.has(target)),
  warm: chosen(whole.cases('test'), (target) => !isCold.has(target)),
};
const ndcg = (vectors: Float32Array, model: ColdModel) => ({
  cold: ndcgAmong(vectors, model, questions.cold),
  warm: ndcgAmong(vectors, model, questions.warm),
});

function onProgress(progress: TrainingProgress): void {
  if (progress.kind !== 'epoch') return;
  const { epoch, loss, primary } = progress.record;
  note(`epoch ${epoch}: loss ${loss.toFixed(4)}, validation NDCG@10 ${primary?.toFixed(5)}`);
}

/** What `--trained` keeps, or a training that is kept there. */
async function trained(name: string, input: TrainModelInput): Promise<NamedArrays> {
  if (flags.trained === undefined) return (await trainModel({ ...input, onProgress })).parameters;
  const of = [name, seed, flags.share, sizes.join('-'), input.settings.maxEpochs].join('_');
  const path = join(flags.trained, `${of}.safetensors`);
  const kept = await readFile(path).catch(() => null);
  if (kept !== null) return decodeSafetensors(kept).arrays;
  const checkpoint = { path: `${path}.checkpoint`, everyMs: 60_000, other: 'refuse' as const };
  const { parameters } = await trainModel({ ...input, onProgress, checkpoint });
  await writeFile(path, encodeSafetensors(parameters));
  return parameters;
}

async function train(name: string, itemResidual: boolean) {
  note(`training ${name}`);
  const settings = createSettings('quality', sizes, {
    // Without residual nothing could hold what a spectral start leaves over.
    ...(itemResidual ? {} : { itemStart: 'drawn' as const }),
    ...overrides,
    ...(flags.epochs === undefined ? {} : { maxEpochs: Number(flags.epochs) }),
  });
  const config = {
    ...{ sizes, blocks: 1, featureWidth, numItems: cold.warm.length, useBias: true },
    ...{ ...modelSwitches('quality'), itemResidual },
  };
  const warmFeatures = rowsOf(features, cold.warm, featureWidth);
  const input = { config, settings, split: cold.split, features: warmFeatures, seed };
  const parameters = await trained(name, input);
  const startedMs = performance.now();
  const learned = await learnColdItems({
    ...{ config, settings, parameters, features: warmFeatures, spec, split: cold.split, seed },
  });
  const seconds = (performance.now() - startedMs) / 1_000;
  const { coldItems, likeness, choice } = learned;
  // As an artifact would hold them: rare items lean, items without an event are filled.
  const asSaved = learned.parameters;
  const model = { ...{ config, parameters: asSaved, spec, features }, coldItems, likeness };
  return { model, choice, seconds };
}

const full = await train('residual', true);
const coldItems = full.model.coldItems!;
const { cases, measured } = full.choice!;
note(
  `strength ${coldItems.strength}, threshold ${coldItems.threshold}: chosen in ${full.seconds.toFixed(0)} s by ${cases} events`,
);
for (const [name, { heldOut, others }] of Object.entries(measured ?? {})) {
  note(
    `  ${name}: held out ${heldOut.map(figure).join(' ')}, others ${others.map(figure).join(' ')}`,
  );
}
const filled = ndcg(await allVectors(full.model, cold), full.model);
const empty = ndcg(await allVectors(full.model, cold, 0), full.model);
for (const [name, figures] of Object.entries({ empty, filled })) {
  note(
    `${name}: cold ${figures.cold.map(figure).join(' ')}, warm ${figures.warm.map(figure).join(' ')}`,
  );
}
const text = await train('text-only', false);
const textOnly = ndcg(await allVectors(text.model, cold), text.model);

const result = {
  ...{ share: Number(flags.share), seed, sizes, coldItems, choice: full.choice },
  cases: { cold: questions.cold.target.length, warm: questions.warm.target.length },
  ...{ textOnly, empty, filled },
};
if (flags.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
else {
  const lines = sizes.map((size, k) => {
    const gain = filled.cold[k]! / textOnly.cold[k]!;
    const loss = 100 * (filled.warm[k]! / empty.warm[k]! - 1);
    const cells = [textOnly.cold, empty.cold, filled.cold, textOnly.warm, empty.warm, filled.warm];
    const figures = cells.map((values) => figure(values[k]!));
    return `| ${size} | ${figures.slice(0, 3).join(' | ')} | ${gain.toFixed(2)} | ${figures.slice(3).join(' | ')} | ${loss.toFixed(2)} % |`;
  });
  process.stdout.write(
    `${result.cases.cold} test events of ${cold.cold.length} cold items, ${result.cases.warm} of others; seed ${seed}, ` +
      `strength ${coldItems.strength}, threshold ${coldItems.threshold}, ${coldItems.neighbours} neighbours, temperature ${coldItems.temperature}\n\n` +
      '| size | cold: text-only | not filled | filled | filled / text-only | warm: text-only | not filled | filled | change |\n' +
      '|---|---|---|---|---|---|---|---|---|\n' +
      `${lines.join('\n')}\n`,
  );
}
