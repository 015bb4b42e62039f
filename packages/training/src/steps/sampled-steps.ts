/**
 * Steps against a sample of the items, for catalogues above `fullSoftmaxItems`: only the rows of the item residual that
 * belong to candidates are computed, and only they are moved.
 *
 * Features, residual and its moments are held once, in main memory, and handed over: whoever brings them must not keep
 * them for another use. Nothing here is as large as the catalogue times a width but these.
 */
import type { NamedArrays } from '@nestrec/contracts';
import type { Histories } from '@nestrec/dataset';
import { createSampledModel } from '@nestrec/model';
import { ITEM_RESIDUAL, requireParameter } from '@nestrec/parameters';
import { restoreRandom } from '@nestrec/random';
import {
  adamWUpdate,
  disposeTensors,
  globalNorm,
  stepTableRows,
  type RowTable,
  type TensorMap,
} from '@nestrec/tensor';
import { rankInChunks } from '../chunked-ranks.js';
import { createNegativeSampler } from '../negative-sampling.js';
import { createOptimizer, optimizerOptions } from '../optimizer.js';
import type { TrainingSettings } from '../settings.js';
import type { Whitening } from '../whitening.js';
import { querySide } from './query-steps.js';
import { lossSettings, type StepsInput, type TrainingSteps } from './training-steps.js';

export interface SampledStepsInput extends StepsInput {
  /** Raw. */
  readonly features: Float32Array;
  /** What the projector is trained behind; null = raw features. */
  readonly whitening: Whitening | null;
  /** Says how popular items are. */
  readonly train: Histories;
}

/** Whether steps see a sample of the items. */
export function isSampled(
  config: { readonly numItems: number },
  settings: Pick<TrainingSettings, 'fullSoftmaxItems'>,
): boolean {
  return config.numItems > settings.fullSoftmaxItems;
}

export function createSampledSteps(input: SampledStepsInput): TrainingSteps {
  const { config, settings, features, whitening, totalSteps } = input;
  const residual = config.itemResidual ? residualTable(input) : null;
  const frozen = input.trains === 'query';
  const model = createSampledModel(config, {
    ...{ features, featureMap: whitening?.matrix ?? null },
    residual: residual?.values ?? null,
  });
  const parameters = model.createParameters(input.parameters);
  const optimizer = createOptimizer(settings, config.sizes, totalSteps, parameters);
  const rowOptions = optimizerOptions(settings, config.sizes, totalSteps, () => true);
  if (input.stepsDone > 0) {
    const others = [...input.optimizer].filter(([name]) => !name.startsWith(`${ITEM_RESIDUAL}/`));
    optimizer.restore(new Map(others), input.stepsDone);
  }
  const sampler = createNegativeSampler({
    ...{ numItems: config.numItems, train: input.train },
    uniformNegatives: settings.uniformNegatives,
    popularityNegatives: settings.popularityNegatives,
  });
  const withResidual = (others: NamedArrays, entries: [string, Float32Array][]): NamedArrays => {
    const shape = [config.numItems, config.sizes.at(-1)!];
    return new Map([...others, ...entries.map(([name, data]) => [name, { shape, data }] as const)]);
  };

  return {
    replicas: 1,
    async step(batch, index) {
      const random = restoreRandom(input.random).fork(`negatives/${index}`);
      const sample = sampler.sample(batch, random);
      const result = model.lossAndGradients(
        ...([parameters, batch, sample] as const),
        lossSettings(settings, input.random, index),
      );
      const { loss } = result;
      const gradients = frozen ? withoutItems(result.gradients) : result.gradients;
      const rows = frozen ? null : result.residual;
      if (frozen) result.residual?.dispose();
      const gradientNorm = globalNorm(
        rows === null ? gradients : new Map([...gradients, [ITEM_RESIDUAL, rows]]),
      );
      optimizer.step(parameters, gradients, gradientNorm);
      if (rows !== null && residual !== null) {
        const shape = [config.numItems, residual.width];
        const update = adamWUpdate(
          ...([rowOptions, { name: ITEM_RESIDUAL, shape }] as const),
          ...([optimizer.steps(), gradientNorm] as const),
        );
        const touched = sample.items.map((item) => item - 1);
        stepTableRows(residual, touched, rows, update);
        rows.dispose();
      }
      return { loss, gradientNorm };
    },
    rank: async (cases, seen, blocks) =>
      rankInChunks(model, parameters, cases, seen, { maxLength: settings.maxLength, blocks }),
    async exportParameters() {
      const own: [string, Float32Array][] = residual ? [[ITEM_RESIDUAL, residual.values]] : [];
      return withResidual(model.exportParameters(parameters), own);
    },
    async exportOptimizer() {
      const own: [string, Float32Array][] = residual
        ? [
            [`${ITEM_RESIDUAL}/m`, residual.m],
            [`${ITEM_RESIDUAL}/v`, residual.v],
          ]
        : [];
      return withResidual(optimizer.state(), own);
    },
    async dispose() {
      optimizer.dispose();
      disposeTensors(parameters);
      model.dispose();
    },
  };
}

type Gradient = NonNullable<ReturnType<TensorMap['get']>>;

/** Gradients of the query side; the others are disposed. */
function withoutItems(gradients: TensorMap): Map<string, Gradient> {
  const kept = querySide(gradients);
  for (const [name, gradient] of gradients) if (!kept.has(name)) gradient.dispose();
  return kept;
}

/** The residual and its moments, as they came: no copies. */
function residualTable({ config, parameters, optimizer, stepsDone }: StepsInput): RowTable {
  const width = config.sizes.at(-1)!;
  const shape = [config.numItems, width];
  const own = (from: NamedArrays, name: string) => requireParameter(from, name, shape).data;
  const values = own(parameters, ITEM_RESIDUAL);
  if (stepsDone === 0) {
    const zeros = () => new Float32Array(values.length);
    return { width, values, m: zeros(), v: zeros() };
  }
  return {
    ...{ width, values },
    m: own(optimizer, `${ITEM_RESIDUAL}/m`),
    v: own(optimizer, `${ITEM_RESIDUAL}/v`),
  };
}
