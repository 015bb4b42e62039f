/**
 * What a warm start is worth: a model trained on the first nine tenths of Amazon Beauty by time, then all
 * events are there, and the model is trained in full, incrementally, or on the query side alone:
 *
 *   npm run bench:warm -- ../shared/data/amazon-beauty [fast] [8,16,32,64]
 *
 * Validation and test items (leave-one-out) are in no training. Figures: docs/experiments.md.
 */
import type { NamedArrays } from '@nestrec/contracts';
import { Histories, splitLeaveOneOut, type Split } from '@nestrec/dataset';
import { metricsOfRanks } from '@nestrec/evaluation';
import { selectBackend } from '@nestrec/tensor';
import {
  createSettings,
  createTrainedModel,
  modelSwitches,
  rankPart,
  trainModel,
  transferParameters,
  warmStartSettings,
  type PresetName,
  type TrainModelInput,
} from '@nestrec/training';
import { readBeauty } from './quality/beauty.js';

const [folder, preset = 'quality', sizeList = '8,16,32,64,128'] = process.argv.slice(2);
if (folder === undefined) throw new Error('give the folder of Amazon Beauty');
const NEW_SHARE = 0.1;
const SEED = 1;

await selectBackend({ force: 'native' });
const sizes = sizeList.split(',').map(Number);
const data = await readBeauty(folder, 'builtin', SEED);
const { dataset } = data;
const split = splitLeaveOneOut(dataset, { maxCases: 100_000 });
const itemIds = dataset.itemIds;
const times = dataset.times!.subarray(0, dataset.times!.length);
const cut = Float64Array.from(times).sort()[Math.floor(times.length * (1 - NEW_SHARE))]!;
const before: Split = { ...split, train: beforeCut(split.train) };
const config = {
  ...{ ...modelSwitches(preset as PresetName), sizes, blocks: 1, useBias: true },
  ...{ featureWidth: data.featureWidth, numItems: itemIds.length },
};
const settings = createSettings(preset as PresetName, sizes);
const base = { config, features: data.features, seed: SEED };

const started = await train('before', { ...base, settings, split: before });
const seen = new Set([...before.train].flatMap((history) => [...history]));
const known = itemIds.map((id, row) => (seen.has(row + 1) ? id : `unknown ${id}`));
const parameters = transferParameters(started, known, itemIds);
report('before', started, 0);
await train('full', { ...base, settings, split });
for (const mode of ['incremental', 'query_only'] as const) {
  const trains = mode === 'query_only' ? 'query' : 'all';
  const warm = warmStartSettings(settings, mode);
  await train(mode, { ...base, settings: warm, split, start: { parameters, trains } });
}

async function train(name: string, input: TrainModelInput) {
  const startedMs = performance.now();
  const { parameters: trained } = await trainModel(input);
  const seconds = (performance.now() - startedMs) / 1_000;
  if (name !== 'before') report(name, trained, seconds);
  return trained;
}

function report(name: string, trained: NamedArrays, seconds: number): void {
  const model = createTrainedModel(config, trained, data.features);
  try {
    const input = { split, numItems: config.numItems, model, text: null, maxLength: 50 };
    const masked = rankPart(input, 'test', []).map(({ scorer, masked: ranks }) => {
      return `${scorer.replace('model', '')} ${metricsOfRanks(ranks, [10])['ndcg@10']!.toFixed(4)}`;
    });
    process.stdout.write(`${name}: ${seconds.toFixed(1)} s, NDCG@10 ${masked.join(' ')}\n`);
  } finally {
    model.dispose();
  }
}

/** What each user did before the cut. */
function beforeCut(train: Histories): Histories {
  const end = train.end.slice();
  for (let row = 0; row < train.rows; row++) {
    while (end[row]! > train.begin[row]! && times[end[row]! - 1]! >= cut) end[row]!--;
  }
  return new Histories(train.items, train.begin, end);
}
