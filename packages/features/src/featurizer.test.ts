import type { FeatureSpec } from '@nestrec/contracts';
import { InvalidModelConfig, InvalidRequest } from '@nestrec/errors';
import { describe, expect, it } from 'vitest';
import { createFeaturizer, encodeItems } from './featurizer.js';
import { itemText } from './item-text.js';
import { fitTextEncoder } from './text-encoder.js';

const encoder = fitTextEncoder(['red lamp', 'red chair', 'blue lamp'], {
  width: 4,
  seed: 1,
});
const spec: FeatureSpec = {
  modalities: [
    { name: 'text', width: 4, kind: 'text', normalisation: 'l2' },
    { name: 'image', width: 2, kind: 'vector', normalisation: 'l2' },
    { name: 'price', width: 1, kind: 'vector', normalisation: 'none' },
  ],
  missingIndicators: true,
};
const featurizer = createFeaturizer(spec, encoder);

describe('item text', () => {
  it('has one line per field that is there', () => {
    expect(itemText({ title: ' Lamp ', brand: 'Alma', categories: ['Home', ' ', 'Light'] })).toBe(
      'Lamp\nAlma\nHome, Light',
    );
    expect(itemText({ title: '  ', categories: [] })).toBe('');
  });
});

describe('featurizer', () => {
  it('lays out modality blocks of unit length, then the missing indicators', () => {
    const f = featurizer.encode({ title: 'red lamp', features: { image: [3, 4], price: [7] } });
    expect(f.length).toBe(4 + 2 + 1 + 3);
    expect(Math.hypot(...f.subarray(0, 4))).toBeCloseTo(1, 6);
    expect(f.subarray(0, 4)).toEqual(encoder.encode('red lamp'));
    [0.6, 0.8, 7, 0, 0, 0].forEach((value, i) => expect(f[4 + i]).toBeCloseTo(value, 6));
  });

  it('marks what is missing: no words, no vector, a vector of zeros', () => {
    const indicators = (item: Parameters<typeof featurizer.encode>[0]) => [
      ...featurizer.encode(item).subarray(7),
    ];
    expect(indicators({})).toEqual([1, 1, 1]);
    expect([...featurizer.encode({}).subarray(0, 7)]).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect(indicators({ title: '???', features: { image: [0, 0], price: [1] } })).toEqual([
      1, 1, 0,
    ]);
    expect(indicators({ title: 'lamp', features: { other: [1] } })).toEqual([0, 1, 1]);
  });

  it('has no indicators when the specification has none', () => {
    const plain = createFeaturizer({ ...spec, missingIndicators: false }, encoder);
    expect(plain.width).toBe(7);
    expect(plain.encode({}).every((value) => value === 0)).toBe(true);
  });

  it('keeps the direction of huge and of tiny vectors', () => {
    for (const scale of [1e300, 1e-300]) {
      const f = featurizer.encode({ features: { image: [3 * scale, 4 * scale] } });
      expect(f[4]).toBeCloseTo(0.6, 6);
      expect(f[5]).toBeCloseTo(0.8, 6);
    }
  });

  it('refuses a vector of another width, and says which is wanted', () => {
    expect(() => featurizer.encode({ features: { image: [1, 2, 3] } })).toThrow(
      /features\.image has 3 numbers; the model was trained with 2/,
    );
  });

  it('refuses numbers that are not finite', () => {
    for (const bad of [NaN, Infinity]) {
      expect(() => featurizer.encode({ features: { image: [1, bad] } })).toThrow(
        InvalidRequest.traits.publicMessage,
      );
    }
  });

  it('is not fooled by names of object members', () => {
    const named = createFeaturizer(
      {
        modalities: [{ name: 'constructor', width: 1, kind: 'vector', normalisation: 'none' }],
        missingIndicators: true,
      },
      null,
    );
    expect([...named.encode({ features: {} })]).toEqual([0, 1]);
  });

  it('makes a matrix with one row per item', () => {
    const matrix = encodeItems(featurizer, [{ title: 'red lamp' }, {}]);
    expect(matrix.length).toBe(20);
    expect(matrix.subarray(10)).toEqual(featurizer.encode({}));
  });

  it('refuses specifications that contradict themselves or the encoder', () => {
    const [text, image] = spec.modalities as [
      FeatureSpec['modalities'][0],
      FeatureSpec['modalities'][0],
    ];
    const make = (modalities: FeatureSpec['modalities'], withEncoder = true) =>
      createFeaturizer({ modalities, missingIndicators: true }, withEncoder ? encoder : null);
    expect(() => make([text, image, image])).toThrow(/two modalities are named "image"/);
    expect(() => make([text, { ...text, name: 'more' }])).toThrow(/2 modalities are of kind text/);
    expect(() => make([image])).toThrow(/no modality of kind text/);
    expect(() => make([text], false)).toThrow(/width 4, got none/);
    expect(() => make([{ ...text, width: 5 }])).toThrow(InvalidModelConfig.traits.publicMessage);
  });
});
