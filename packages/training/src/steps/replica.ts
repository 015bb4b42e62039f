/**
 * One of the replicas that share each training step. All hold the blocks' and the projector's parameters; items
 * are dealt out: a replica holds the features, the residuals and the optimiser's moments of its own alone.
 *
 * A step has four phases, and no replica begins one before all have ended the one before:
 *
 * 1. `shareItems`: the vectors of the own items, into the shared item table;
 * 2. `shareGradients`: loss and gradients of the own users, against all items;
 * 3. `shareSums`: the sum over replicas of the gradient by the own items' vectors, and from it that by the own
 *    residuals and the own part of that by the projector;
 * 4. `update`: the sum of all other gradients, the same on every replica, and the step of AdamW.
 *
 * Sums go in the order of the replicas, so that a run repeats to the last bit and the parameters that all hold
 * stay equal. Knows nothing of threads.
 */
import type { NamedArrays } from '@nestrec/contracts';
import { InternalError } from '@nestrec/errors';
import {
  createModel,
  type LabelledRows,
  type LossSettings,
  type Model,
  type Parameters,
  type StepMasks,
} from '@nestrec/model';
import { ITEM_RESIDUAL, packArrays } from '@nestrec/parameters';
import {
  disposeTensors,
  fromNamedArrays,
  globalNorm,
  toNamedArrays,
  type AdamW,
  type TensorMap,
} from '@nestrec/tensor';
import { hashArrays } from '../hash-bytes.js';
import { createOptimizer } from '../optimizer.js';
import type { PartOfBatch } from './batch-parts.js';
import type { ItemRange, SharedMemory } from './shared-memory.js';
import { lossSettings, type StepsInput } from './training-steps.js';

export interface ReplicaInput extends StepsInput {
  readonly rank: number;
  /** Which items are its own: `config.numItems`, `features`, `parameters` and `optimizer` are all items'. */
  readonly own: ItemRange;
  readonly itemsInAll: number;
}

/** What of the own items' residuals is asked for. */
export type ResidualPart = 'value' | 'm' | 'v';

export interface Replica {
  readonly model: Model;
  readonly parameters: Parameters;
  readonly optimizer: AdamW;
  shareItems(part: PartOfBatch, index: number): void;
  /** Mean loss of the own users. */
  shareGradients(): number;
  shareSums(): void;
  /** The norm of all gradients. */
  update(): number;
  /** Vectors of the own items as an evaluation wants them: nothing dropped. */
  shareTable(): void;
  /** Writes the own rows of the residual, or of its moments, to the shared item table. */
  shareResidual(what: ResidualPart): void;
  /** Of the parameters that every replica holds. */
  digest(): string;
  dispose(): void;
}

/** Where the gradient of a parameter that every replica holds stands in `SharedMemory.gradients`. */
interface Place {
  readonly name: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly length: number;
}

interface Placed {
  readonly name: string;
  readonly shape: readonly number[];
}

function placesOf(parameters: Iterable<Placed>): { places: Place[]; numbers: number } {
  const places: Place[] = [];
  let numbers = 0;
  for (const { name, shape } of parameters) {
    if (name === ITEM_RESIDUAL) continue;
    const length = shape.reduce((a, b) => a * b, 1);
    places.push({ name, shape, offset: numbers, length });
    numbers += length;
  }
  return { places, numbers };
}

/** How many numbers the gradients have that every replica sums. */
export function gradientNumbers(config: StepsInput['config'], parameters: NamedArrays): number {
  const packed = packArrays(config, parameters);
  return placesOf([...packed].map(([name, { shape }]) => ({ name, shape }))).numbers;
}

export function createReplica(input: ReplicaInput, shared: SharedMemory): Replica {
  const { config, settings, rank, own, itemsInAll } = input;
  const width = config.sizes.at(-1)!;
  const model = createModel(config, input.features);
  const parameters = model.createParameters(input.parameters);
  const optimizer = createOptimizer(settings, config.sizes, input.totalSteps, parameters);
  if (input.stepsDone > 0) optimizer.restore(input.optimizer, input.stepsDone);
  const { places } = placesOf(
    [...parameters].map(([name, { shape }]) => ({ name, shape: [...shape] })),
  );
  let step: StepInProgress | null = null;
  const inStep = (): StepInProgress => {
    if (step === null) throw new InternalError({ detail: 'a phase of a step before its first.' });
    return step;
  };
  const endStep = () => {
    if (step === null) return;
    model.parts.disposeMasks(step.masks);
    disposeTensors(step.residual);
    step = null;
  };
  /** Row 0 of the own rows is the padding row; in the table of all items it is the first replica's. */
  const writeRows = (rows: Float32Array) => {
    shared.items.set(rows.subarray(width), (own.first + 1) * width);
    if (rank === 0) shared.items.set(rows.subarray(0, width));
  };
  const writeGradients = (gradients: TensorMap, scale: number) =>
    writeGradientsTo(shared.gradients[rank]!, places, gradients, scale);

  return {
    ...{ model, parameters, optimizer },
    shareItems({ batch, share, rows, rowsInAll }, index) {
      endStep();
      const part = { rows, rowsInAll, firstItem: own.first, itemsInAll };
      const loss = { ...lossSettings(settings, input.random, index), part };
      const masks = model.parts.drawMasks(batch.rows, loss);
      step = { batch, share, loss, masks, residual: new Map() };
      writeRows(model.parts.itemRows(parameters, masks));
    },
    shareGradients() {
      const { batch, share, loss, masks } = inStep();
      shared.gradients[rank]!.fill(0);
      if (batch.rows === 0) {
        shared.itemGradients[rank]!.fill(0);
        return 0;
      }
      const table = model.parts.tableOf(shared.items);
      const result = model.parts.rowGradients(parameters, table.rows, batch, masks, loss);
      table.dispose();
      writeGradients(result.gradients, share);
      const byItem = result.items.dataSync() as Float32Array;
      result.items.dispose();
      writeScaled(shared.itemGradients[rank]!, 0, byItem, share);
      disposeTensors(result.gradients);
      return result.loss;
    },
    shareSums() {
      const current = inStep();
      const upstream = new Float32Array((own.count + 1) * width);
      if (rank === 0) sumInto(upstream.subarray(0, width), shared.itemGradients, 0);
      sumInto(upstream.subarray(width), shared.itemGradients, (own.first + 1) * width);
      const gradients = model.parts.itemGradients(upstream, parameters, current.masks);
      const residual = gradients.get(ITEM_RESIDUAL);
      if (residual !== undefined) {
        gradients.delete(ITEM_RESIDUAL);
        current.residual.set(ITEM_RESIDUAL, residual);
      }
      shared.squares[rank] = globalNorm(current.residual) ** 2;
      writeGradients(gradients, 1);
      disposeTensors(gradients);
    },
    update() {
      const { residual } = inStep();
      const gradients = fromNamedArrays(sumsOf(places, shared.gradients));
      const squares = shared.squares.reduce((sum, one) => sum + one, globalNorm(gradients) ** 2);
      const all = new Map([...gradients, ...residual]);
      residual.clear();
      const { gradientNorm } = optimizer.step(parameters, all, Math.sqrt(squares));
      endStep();
      return gradientNorm;
    },
    shareTable: () => writeRows(model.parts.itemRows(parameters, null)),
    shareResidual(what) {
      const data =
        what === 'value'
          ? toNamedArrays(new Map([[ITEM_RESIDUAL, parameters.get(ITEM_RESIDUAL)!]]))
          : optimizer.state();
      const key = what === 'value' ? ITEM_RESIDUAL : `${ITEM_RESIDUAL}/${what}`;
      shared.items.set(data.get(key)!.data, own.first * width);
    },
    digest() {
      const all = new Map([...parameters].filter(([name]) => name !== ITEM_RESIDUAL));
      return hashArrays(toNamedArrays(all));
    },
    dispose() {
      endStep();
      optimizer.dispose();
      disposeTensors(parameters);
      model.dispose();
    },
  };
}

interface StepInProgress {
  readonly batch: LabelledRows;
  readonly share: number;
  readonly loss: LossSettings;
  readonly masks: StepMasks;
  /** The gradient by the own items' residuals, once it is there. */
  readonly residual: Map<string, NonNullable<ReturnType<TensorMap['get']>>>;
}

function writeGradientsTo(
  target: Float32Array,
  places: readonly Place[],
  gradients: TensorMap,
  scale: number,
): void {
  for (const [name, { data }] of toNamedArrays(gradients)) {
    const place = places.find((one) => one.name === name);
    if (place === undefined) {
      throw new InternalError({ detail: `a gradient has no parameter: ${name}` });
    }
    writeScaled(target, place.offset, data, scale);
  }
}

function sumsOf(places: readonly Place[], parts: readonly Float32Array[]): NamedArrays {
  return new Map(
    places.map(({ name, shape, offset, length }) => {
      const data = new Float32Array(length);
      sumInto(data, parts, offset);
      return [name, { shape, data }];
    }),
  );
}

function writeScaled(
  target: Float32Array,
  offset: number,
  numbers: Float32Array,
  scale: number,
): void {
  if (scale === 1) return target.set(numbers, offset);
  for (let i = 0; i < numbers.length; i++) target[offset + i] = numbers[i]! * scale;
}

/** target = the sum of all parts from `offset` on, added in their order. */
function sumInto(target: Float32Array, parts: readonly Float32Array[], offset: number): void {
  target.set(parts[0]!.subarray(offset, offset + target.length));
  for (const part of parts.slice(1)) {
    for (let i = 0; i < target.length; i++) target[i]! += part[offset + i]!;
  }
}
