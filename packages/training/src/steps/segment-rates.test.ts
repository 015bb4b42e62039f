/** A segment whose rate is 0 stands still however steps are taken, and all else moves. */
import { beforeAll, expect, it } from 'vitest';
import type { ModelConfig, NamedArrays } from '@nestrec/contracts';
import { Histories, packedBatches } from '@nestrec/dataset';
import { initParameters, LOG_SCORE_SCALE } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { selectBackend } from '@nestrec/tensor';
import { createSettings } from '../settings.js';
import { createSampledSteps } from './sampled-steps.js';
import { createLocalSteps } from './training-steps.js';

const SIZES = [4, 8];
const [ITEMS, USERS, EVENTS, FEATURES] = [40, 16, 6, 5];
const CONFIG: ModelConfig = {
  ...{ sizes: SIZES, blocks: 1, featureWidth: FEATURES, numItems: ITEMS, useBias: true },
  ...{ itemResidual: true, scoreScale: true, rMin: 0, rMax: 0.5 },
};
const random = createRandom(3);
const train = Histories.of({
  offsets: Int32Array.from({ length: USERS + 1 }, (_, u) => EVENTS * u),
  items: Int32Array.from({ length: EVENTS * USERS }, () => 1 + random.int(ITEMS)),
});
const settings = createSettings('quality', SIZES, {
  ...{ segmentRates: [0, 1], weightDecay: 0, usersPerBatch: 8 },
  ...{ uniformNegatives: ITEMS, popularityNegatives: 0 },
});
const input = () => ({
  ...{ config: CONFIG, settings, stepsDone: 0, totalSteps: 40, optimizer: new Map() },
  features: Float32Array.from({ length: ITEMS * FEATURES }, () => random.normal()),
  parameters: initParameters(CONFIG, createRandom(4)),
  random: createRandom(5).state(),
});

/** Which coordinate the number at `i` of a parameter makes. */
function coordinateOf(name: string, shape: readonly number[], i: number): number {
  const segment = /_(\d)\.(weight|bias)$/.exec(name);
  if (segment !== null) return segment[1] === '0' ? 0 : SIZES[0]!;
  if (name.endsWith('projector.weight')) return Math.floor(i / shape[1]!);
  return i % shape.at(-1)!;
}

beforeAll(() => selectBackend({ force: 'cpu' }));

it.each(['all items', 'a sample'])('against %s', async (against) => {
  const start = input();
  const before: NamedArrays = new Map(
    [...start.parameters].map(([name, { shape, data }]) => [name, { shape, data: data.slice() }]),
  );
  const steps =
    against === 'a sample'
      ? createSampledSteps({ ...start, whitening: null, train })
      : createLocalSteps(start);
  const batches = packedBatches(train, { ...settings, random: createRandom(6) });
  let index = 0;
  for (const batch of batches) await steps.step(batch, index++);
  const after = await steps.exportParameters();
  for (const [name, { shape, data }] of before) {
    if (name === LOG_SCORE_SCALE) continue;
    const moved = after.get(name)!.data.map((value, i) => Number(value !== data[i]));
    const still = moved.filter((_, i) => coordinateOf(name, shape, i) < SIZES[0]!);
    const free = moved.filter((_, i) => coordinateOf(name, shape, i) >= SIZES[0]!);
    expect([name, Math.max(0, ...still)]).toEqual([name, 0]);
    if (free.length > 0) expect([name, Math.max(...free)]).toEqual([name, 1]);
  }
  await steps.dispose();
});
