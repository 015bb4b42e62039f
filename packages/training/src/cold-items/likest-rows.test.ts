import type { FeatureSpec } from '@nestrec/contracts';
import { indexLikeItems } from '@nestrec/features';
import { createRandom } from '@nestrec/random';
import { selectBackend } from '@nestrec/tensor';
import { beforeAll, expect, it } from 'vitest';
import { fitLikeness } from './fit-likeness.js';
import { likestRows } from './likest-rows.js';

const SPEC: FeatureSpec = {
  modalities: [
    { name: 'text', width: 4, kind: 'vector', normalisation: 'l2' },
    { name: 'image', width: 3, kind: 'vector', normalisation: 'l2' },
  ],
  missingIndicators: true,
};
const WIDTH = 9;
const ROWS = 300;

beforeAll(() => selectBackend({ force: 'cpu' }));

it('finds the rows that a search of one after another finds, where items have text, images, both or none', async () => {
  const random = createRandom(3);
  const features = new Float32Array(ROWS * WIDTH);
  for (let row = 0; row < ROWS; row++) {
    const [text, image] = [row % 3 !== 0, row % 4 !== 0];
    for (let i = 0; i < 4; i++) features[row * WIDTH + i] = text ? random.normal() : 0;
    for (let i = 4; i < 7; i++) features[row * WIDTH + i] = image ? random.normal() : 0;
    features.set([text ? 0 : 1, image ? 0 : 1], row * WIDTH + 7);
  }
  const likeness = fitLikeness(features, WIDTH, SPEC);
  const all = Array.from({ length: ROWS }, (_, row) => row);
  const among = all.filter((row) => row % 5 !== 0);
  const asked = all.filter((row) => row % 5 === 0);
  const index = await indexLikeItems({ features, spec: SPEC, likeness, rows: among });
  const found = likestRows({ features, rowWidth: WIDTH, spec: SPEC, likeness }, asked, among, 5);
  asked.forEach((row, at) => {
    const wanted = index.find(features.subarray(row * WIDTH, (row + 1) * WIDTH), 5);
    expect(found[at]!.rows).toEqual(wanted.rows);
    found[at]!.likeness.forEach((value, nth) =>
      expect(value).toBeCloseTo(wanted.likeness[nth]!, 4),
    );
    const bare = row % 12 === 0;
    expect(found[at]!.rows).toHaveLength(bare ? 0 : 5);
  });
});
