/**
 * A catalogue larger than any real one that we hold, with the structure of a real one: every item of Amazon
 * Beauty in several variants, whose text vectors are the item's own moved a little, and every user's history
 * with a variant drawn for each event, the first ones more often. Seeded, so that two runs get the same.
 */
import type { FeatureSpec } from '@nestrec/contracts';
import type { SequenceDataset } from '@nestrec/dataset';
import { createRandom, type Random } from '@nestrec/random';
import { readBeauty } from '../quality/beauty.js';

/** Length of the change of a variant's text vector, which has length 1. */
const VARIATION = 0.5;

export interface LargeBeauty {
  readonly dataset: SequenceDataset;
  /** N x featureWidth. */
  readonly features: Float32Array;
  readonly featureWidth: number;
  readonly spec: FeatureSpec;
}

export const largeItemId = (row: number) => `item-${String(row).padStart(7, '0')}`;

/** @throws InputNotFound where `folder` lacks the data set */
export async function readLargeBeauty(
  folder: string,
  items: number,
  seed: number,
): Promise<LargeBeauty> {
  const beauty = await readBeauty(folder, 'minilm', seed);
  const random = createRandom(seed);
  const base = beauty.dataset.itemIds.length;
  const { featureWidth } = beauty;
  const features = new Float32Array(items * featureWidth);
  for (let row = 0; row < items; row++) {
    const from = (row % base) * featureWidth;
    const own = beauty.features.subarray(from, from + featureWidth);
    const variant = row < base ? own : varied(own, beauty.text.width, random);
    features.set(variant, row * featureWidth);
  }
  const { offsets } = beauty.dataset;
  const events = beauty.dataset.items.subarray(0, beauty.dataset.items.length);
  return {
    ...{ features, featureWidth, spec: beauty.spec },
    dataset: {
      itemIds: Array.from({ length: items }, (_, row) => largeItemId(row)),
      offsets,
      items: events.map((item) => 1 + variantOf(item - 1, base, items, random)),
      times: null,
    },
  };
}

/** A row of the large catalogue: the item itself or one of its variants, the first ones more often. */
function variantOf(row: number, base: number, items: number, random: Random): number {
  const variants = Math.ceil((items - row) / base);
  return row + base * Math.floor(variants * random.uniform() ** 2);
}

/** The text block moved by a vector of length VARIATION and made length 1 again; the rest stays. */
export function varied(own: Float32Array, textWidth: number, random: Random): Float32Array {
  const variant = own.slice();
  const scale = VARIATION / Math.sqrt(textWidth);
  let squares = 0;
  for (let i = 0; i < textWidth; i++) {
    variant[i]! += scale * random.normal();
    squares += variant[i]! ** 2;
  }
  const length = Math.sqrt(squares);
  for (let i = 0; i < textWidth; i++) variant[i]! /= length;
  return variant;
}
