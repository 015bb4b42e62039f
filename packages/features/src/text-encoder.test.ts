import { InsufficientData, InvalidTensorFile } from '@nestrec/errors';
import { createRandom } from '@nestrec/random';
import { describe, expect, it } from 'vitest';
import { fitTextEncoder, restoreTextEncoder, type TextEncoder } from './text-encoder.js';

const KINDS = ['lipstick', 'shampoo', 'perfume', 'mascara', 'conditioner', 'sunscreen'];
const BRANDS = ['Alma', 'Borealis', 'Cirrus', 'Dune'];
const SHADES = ['crimson', 'amber', 'ivory', 'violet', 'teal', 'silver', 'golden', 'pale'];

/** 240 titles; item i has kind i mod 6 and brand i mod 4. */
function catalogue(): string[] {
  const random = createRandom(3);
  return Array.from({ length: 240 }, (_, i) => {
    const shade = SHADES[random.int(SHADES.length)];
    return `${shade} ${KINDS[i % 6]} no ${i % 17}\n${BRANDS[i % 4]}`;
  });
}

const texts = catalogue();
const fit = (width = 32, seed = 1) => fitTextEncoder(texts, { width, seed });

function cosine(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}

const length = (a: Float32Array) => Math.sqrt(cosine(a, a));

describe('text encoder', () => {
  it('gives unit vectors of the width asked for, also odd ones and widths above the rank', () => {
    for (const width of [1, 7, 32, 300]) {
      const vector = fit(width).encode(texts[0]!);
      expect(vector.length).toBe(width);
      expect(length(vector)).toBeCloseTo(1, 5);
    }
  });

  it('puts texts of one kind closer together than texts of different kinds', () => {
    const vectors = texts.map(fit().encode);
    const mean = (same: boolean) => {
      const values: number[] = [];
      for (let i = 0; i < 120; i++) {
        for (let j = 0; j < i; j++) {
          const sameKind = i % 6 === j % 6;
          if (sameKind === same && i % 4 !== j % 4) values.push(cosine(vectors[i]!, vectors[j]!));
        }
      }
      return values.reduce((a, b) => a + b) / values.length;
    };
    expect(mean(true)).toBeGreaterThan(mean(false) + 0.15);
  });

  it('places a new text by its known words, whatever their case, and by parts of misspelt ones', () => {
    const encoder = fit(64);
    const shampoo = encoder.encode('shampoo');
    for (const text of ['SHAMPOO', 'brand new shampoo', 'shampooo', 'Shampoos']) {
      const vector = encoder.encode(text);
      expect(cosine(vector, shampoo)).toBeGreaterThan(
        cosine(vector, encoder.encode('perfume')) + 0.2,
      );
    }
  });

  it('keeps the similarities that whole TF-IDF rows have', () => {
    // At a width far above the rank the mixture loses little: two equal texts 1, disjoint ones near 0.
    const encoder = fitTextEncoder(['red apple', 'red apple', 'blue whale', 'blue whale'], {
      width: 512,
      seed: 1,
    });
    const [a, b, c] = ['red apple', 'apple red', 'blue whale'].map((t) => encoder.encode(t));
    expect(cosine(a!, b!)).toBeGreaterThan(0.8);
    expect(Math.abs(cosine(a!, c!))).toBeLessThan(0.2);
  });

  it('is the same for the same texts and seed', () => {
    const bits = (encoder: TextEncoder) => [...encoder.toArrays()].map(([, { data }]) => [...data]);
    expect(bits(fit(16, 9))).toEqual(bits(fit(16, 9)));
    expect(bits(fit(16, 9))).not.toEqual(bits(fit(16, 10)));
  });

  it('comes back from its arrays bit by bit', () => {
    const encoder = fit(48);
    const restored = restoreTextEncoder(encoder.toArrays());
    expect(restored.width).toBe(48);
    for (const text of [...texts.slice(0, 20), 'something else: violet']) {
      expect(restored.encode(text)).toEqual(encoder.encode(text));
    }
  });

  it('answers zeros for a text without a known word', () => {
    for (const text of ['', '  \n ', 'Ωμέγα', '!!! ???']) {
      expect(
        fit()
          .encode(text)
          .every((value) => value === 0),
      ).toBe(true);
    }
  });

  it('reads any script, and endless texts in bounded time', () => {
    const encoder = fitTextEncoder(['口红 红色', '口红 蓝色', 'крем для рук', 'крем для лица'], {
      width: 8,
      seed: 1,
    });
    expect(length(encoder.encode('крем'))).toBeCloseTo(1, 5);
    const started = performance.now();
    encoder.encode('крем'.repeat(2_000_000));
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it('refuses a catalogue without words, and says what to do', () => {
    for (const none of [[], ['', ' ']]) {
      expect(() => fitTextEncoder(none, { width: 8, seed: 1 })).toThrow(
        InsufficientData.traits.publicMessage,
      );
    }
  });

  it('refuses arrays that are not those of an encoder, naming the array', () => {
    const good = fit(8).toArrays();
    const settings = { shape: [2], data: Float32Array.of(2, 65_536) };
    const [buckets, idf] = [good.get('text.buckets')!, good.get('text.idf')!];
    const cases: [string, { shape: readonly number[]; data: Float32Array } | null][] = [
      ['text.settings', settings],
      ['text.settings', null],
      ['text.buckets', { ...buckets, data: Float32Array.from(buckets.data).reverse() }],
      ['text.idf', { shape: [1], data: Float32Array.of(1) }],
      ['text.idf', { ...idf, data: Float32Array.from(idf.data).fill(NaN, 0, 1) }],
      ['text.directions', { shape: [1, 16], data: new Float32Array(16) }],
      ['text.directions', { shape: [4], data: new Float32Array(4) }],
      ['text.carry', { shape: [5, 4], data: new Float32Array(20) }],
    ];
    for (const [name, array] of cases) {
      const arrays = new Map(good);
      if (array === null) arrays.delete(name);
      else arrays.set(name, array);
      expect(() => restoreTextEncoder(arrays), name).toThrow(
        new RegExp(`${InvalidTensorFile.traits.publicMessage} .*${name}`),
      );
    }
  });
});
