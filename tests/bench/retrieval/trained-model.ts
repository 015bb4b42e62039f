/**
 * The model that the retrieval and serving benchmarks stand on: trained on a large catalogue made of Amazon
 * Beauty (`large-beauty.ts`) with the sampled softmax, saved as an artifact under the cache folder, so that
 * only the first run of a recipe, settings and code, trains.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { modelConfigSchema } from '@nestrec/contracts';
import { splitLeaveOneOut } from '@nestrec/dataset';
import { replayEvents } from '@nestrec/parameters';
import { loadArtifact, saveArtifact, type Artifact } from '@nestrec/registry';
import { selectBackend } from '@nestrec/tensor';
import {
  createSettings,
  modelSwitches,
  trainModel,
  type TrainingSettings,
} from '@nestrec/training';
import { readLargeBeauty } from './large-beauty.js';

const SEED = 1;

export interface TrainedModelOptions {
  /** Folder of Amazon Beauty. */
  readonly data: string;
  readonly cache: string;
  readonly items: number;
  readonly sizes: readonly number[];
  readonly epochs: number;
  readonly note: (line: string) => void;
}

/** Where the artifact lies, and the artifact. */
export async function trainedModel(
  options: TrainedModelOptions,
): Promise<{ readonly path: string; readonly artifact: Artifact }> {
  const settings = settingsOf(options);
  const recipe = createHash('sha256')
    .update(JSON.stringify(settings))
    .update(trainingCode())
    .digest('hex')
    .slice(0, 8);
  const version = `bench_${options.items}_${options.sizes.join('_')}_${recipe}`;
  const path = join(options.cache, version);
  if (!existsSync(path)) await train(options, settings, version);
  return { path, artifact: await loadArtifact(path) };
}

/** Which code trains, as it was last committed: a model of other code is another model. */
function trainingCode(): string {
  const trees = ['training', 'model', 'features'].map((name) => `HEAD:packages/${name}/src`);
  return execFileSync('git', ['rev-parse', ...trees], { encoding: 'utf8' });
}

function settingsOf({ sizes, epochs }: TrainedModelOptions): TrainingSettings {
  return createSettings('quality', sizes, {
    ...{ maxEpochs: epochs, patience: 0, evaluationCases: 1_000, fullSoftmaxItems: 0 },
  });
}

async function train(
  options: TrainedModelOptions,
  settings: TrainingSettings,
  version: string,
): Promise<void> {
  const { items, sizes, epochs, cache, note } = options;
  await mkdir(cache, { recursive: true });
  const backend = await selectBackend({});
  note(
    `training on ${items} items, ${epochs} epochs, backend ${backend.name} (once; kept in the cache)`,
  );
  const data = await readLargeBeauty(options.data, items, SEED);
  const config = modelConfigSchema.parse({
    ...{ sizes, blocks: 1, featureWidth: data.featureWidth, numItems: items },
    ...modelSwitches('quality'),
  });
  const checkpointPath = join(cache, `${version}.checkpoint`);
  const trained = await trainModel({
    ...{ config, settings, features: data.features, seed: SEED },
    split: splitLeaveOneOut(data.dataset),
    checkpoint: { path: checkpointPath, everyMs: 120_000, other: 'restart' },
    onProgress: (progress) => {
      if (progress.kind === 'epoch') {
        note(
          `epoch ${progress.record.epoch}: validation NDCG@10 ${progress.record.primary?.toFixed(4)}`,
        );
      }
    },
  });
  const { dataset, features, spec } = data;
  await saveArtifact(cache, {
    manifest: {
      ...{ version, createdAt: new Date().toISOString(), nestrecVersion: '0.1.0', commit: null },
      ...{ seed: SEED, config, features: spec, quality: [] },
      data: {
        ...{ users: dataset.offsets.length - 1, items, interactions: dataset.items.length },
        ...{ from: null, to: null },
      },
      training: { ...settings },
      lambdaMax: trained.lambdaMax,
      replayEvents: replayEvents(config, trained.lambdaMax),
    },
    ...{ parameters: trained.parameters, features, itemIds: dataset.itemIds, encoder: null },
  });
  await rm(checkpointPath, { force: true });
}
