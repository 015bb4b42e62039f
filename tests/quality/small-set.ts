/**
 * A small seeded data set with something to learn: items stand in groups, a user walks along a group's
 * cycle and sometimes jumps to another group; all items are about equally popular.
 */
import type { ModelConfig } from '@nestrec/contracts';
import type { SequenceDataset } from '@nestrec/dataset';
import { createRandom } from '@nestrec/random';

export interface SmallSet {
  readonly dataset: SequenceDataset;
  /** N x FEATURE_WIDTH, unit rows: noisy group centres. */
  readonly features: Float32Array;
}

export const FEATURE_WIDTH = 12;
const GROUP = 8;
const JUMP = 0.15;
const DAY_MS = 86_400_000;

export function smallSet(items: number, users: number, seed: number): SmallSet {
  const random = createRandom(seed).fork('small-set');
  const groups = Math.ceil(items / GROUP);
  const offsets = new Int32Array(users + 1);
  const events: number[] = [];
  const times: number[] = [];
  for (let u = 0; u < users; u++) {
    const length = 4 + random.int(8);
    let item = random.int(items);
    for (let e = 0; e < length; e++) {
      events.push(item + 1);
      times.push(Date.UTC(2026, 0, 1) + (random.int(30) + 12 * e) * DAY_MS);
      const group = random.uniform() < JUMP ? random.int(groups) : Math.floor(item / GROUP);
      const within = (item % GROUP) + 1;
      item = Math.min(items - 1, group * GROUP + (within % GROUP));
    }
    offsets[u + 1] = events.length;
    times.splice(offsets[u]!, length, ...times.slice(offsets[u]).sort((a, b) => a - b));
  }
  return {
    dataset: {
      itemIds: Array.from({ length: items }, (_, i) => `i${i + 1}`),
      offsets,
      items: Int32Array.from(events),
      times: Float64Array.from(times),
    },
    features: groupFeatures(items, groups, seed),
  };
}

function groupFeatures(items: number, groups: number, seed: number): Float32Array {
  const random = createRandom(seed).fork('features');
  const centres = Float32Array.from({ length: groups * FEATURE_WIDTH }, () => random.normal());
  const features = new Float32Array(items * FEATURE_WIDTH);
  for (let i = 0; i < items; i++) {
    const row = features.subarray(i * FEATURE_WIDTH, (i + 1) * FEATURE_WIDTH);
    const centre = Math.floor(i / GROUP) * FEATURE_WIDTH;
    for (let f = 0; f < FEATURE_WIDTH; f++) row[f] = centres[centre + f]! + 0.5 * random.normal();
    const norm = Math.hypot(...row);
    for (let f = 0; f < FEATURE_WIDTH; f++) row[f]! /= norm;
  }
  return features;
}

export function smallConfig(numItems: number, sizes: number[], blocks = 1): ModelConfig {
  return {
    ...{ sizes, blocks, numItems, featureWidth: FEATURE_WIDTH, useBias: true },
    ...{ itemResidual: true, scoreScale: true, rMin: 0, rMax: 0.5 },
  };
}
