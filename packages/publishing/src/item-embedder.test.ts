import type { Item, Manifest } from '@nestrec/contracts';
import { createFeaturizer } from '@nestrec/features';
import { embedItem, itemVectors, ITEM_RESIDUAL } from '@nestrec/parameters';
import { coldFillOf, cutArtifact, type Artifact } from '@nestrec/registry';
import { describe, expect, it } from 'vitest';
import { createItemEmbedder } from './item-embedder.js';
import {
  catalogueItem,
  fillingCold,
  IMAGE_WIDTH,
  makeArtifact,
} from '../../../tests/helpers/published-artifact.js';

const [ITEMS, DIM] = [60, 16];
const IMAGE = { image: Array.from({ length: IMAGE_WIDTH }, (_, i) => i - 0.5) };
const TITLE = 'green lamp';

const plain = makeArtifact({ version: 'v1', items: ITEMS });
const filling = fillingCold(plain);
const vectorOf = async (artifact: Artifact, item: Item) =>
  (await createItemEmbedder(artifact)).embedCatalogue(item)!.vector;
const featureOf = (item: Item) =>
  createFeaturizer(plain.manifest.features, plain.encoder).encode(item);
const textAlone = (feature: Float32Array) =>
  embedItem(plain.manifest.config, plain.parameters, feature);

describe('the vector of an item that the model has not learned', () => {
  it.each<[string, Partial<Item>]>([
    ['text alone', { title: TITLE }],
    ['an image alone', { features: IMAGE }],
    ['text and image', { title: TITLE, features: IMAGE }],
  ])('with %s is P f + p and the fill of its likest items', async (_, what) => {
    const item: Item = { item_id: 'new', available: true, ...what };
    const fill = (await coldFillOf(filling))!.residualOf(featureOf(item))!;
    const expected = textAlone(featureOf(item)).map((value, d) => value + fill[d]!);
    expect(fill.some((value) => value !== 0)).toBe(true);
    const vector = await vectorOf(filling, item);
    expected.forEach((value, d) => expect(vector[d]).toBeCloseTo(value, 5));
  });

  it('with neither is P f + p: nothing is like it', async () => {
    const item: Item = { item_id: 'new', available: true };
    expect(await vectorOf(filling, item)).toEqual(textAlone(featureOf(item)));
  });

  it('by a model of before, which says nothing of it, is P f + p', async () => {
    const item: Item = { item_id: 'new', available: true, title: TITLE };
    expect(await vectorOf(plain, item)).toEqual(textAlone(featureOf(item)));
  });

  it('is the beginning of the whole one in every slice', async () => {
    const item: Item = { item_id: 'new', available: true, title: TITLE, features: IMAGE };
    const whole = await vectorOf(filling, item);
    for (const dim of [4, 8]) {
      const { manifest, ...cut } = cutArtifact(filling, dim);
      const artifact = { ...cut, manifest: manifest as unknown as Manifest };
      const small = await vectorOf(artifact, item);
      expect(small.length).toBe(dim);
      small.forEach((value, d) => expect(value).toBeCloseTo(whole[d]!, 6));
    }
  });
});

describe('the vector of an item of the model', () => {
  const rows = itemVectors(plain.manifest.config, plain.parameters, plain.features);
  const rowOf = (row: number) => rows.subarray(row * DIM, (row + 1) * DIM);

  it('keeps the learned residual, also where its features are others now', async () => {
    expect([...(await vectorOf(filling, catalogueItem(7)))]).toEqual([...rowOf(7)]);
    const renamed = { ...catalogueItem(7), title: 'violet easel' };
    const residual = plain.parameters.get(ITEM_RESIDUAL)!.data.subarray(7 * DIM, 8 * DIM);
    const vector = await vectorOf(filling, renamed);
    const base = textAlone(featureOf(renamed));
    vector.forEach((value, d) => expect(value - base[d]!).toBeCloseTo(residual[d]!, 5));
  });

  it('that was not learned is filled by what the catalogue says of it now', async () => {
    const learned = new Float32Array(ITEMS).fill(1).fill(0, 7, 8);
    const artifact = { ...filling, learned };
    const item = { ...catalogueItem(7), title: 'violet easel' };
    const asNew = { ...item, item_id: 'new' };
    expect(await vectorOf(artifact, item)).toEqual(await vectorOf(artifact, asNew));
    expect(await vectorOf(artifact, item)).not.toEqual(await vectorOf(artifact, catalogueItem(7)));
  });
});
