import { describe, expect, it } from 'vitest';
import type { ModelConfig } from '@nestrec/contracts';
import { Histories } from '@nestrec/dataset';
import { checkData } from './check-data.js';

const CONFIG: ModelConfig = {
  ...{ sizes: [4], blocks: 1, featureWidth: 2, numItems: 3, useBias: true },
  ...{ itemResidual: true, scoreScale: true, rMin: 0, rMax: 0.5 },
};
const CASE = {
  user: Int32Array.of(0),
  historyOffsets: Int32Array.of(0, 1),
  history: Int32Array.of(1),
  target: Int32Array.of(2),
};
const NO_CASE = { ...CASE, historyOffsets: Int32Array.of(0), target: new Int32Array(0) };
const histories = (...rows: number[][]) =>
  Histories.of({
    offsets: Int32Array.from([0, ...rows.map((_, i) => rows.slice(0, i + 1).flat().length)]),
    items: Int32Array.from(rows.flat()),
  });
const FEATURES = new Float32Array(6);

describe('too few data', () => {
  it('two users, two items and one case are enough', () => {
    expect(() => checkData(CONFIG, histories([1, 2], [2]), CASE, FEATURES)).not.toThrow();
  });

  it.each([
    ['one user', histories([1, 2, 3], []), CASE, '3 training events of 1 users and 3 items'],
    ['one item', histories([1, 1], [1]), CASE, '3 training events of 2 users and 1 items'],
    ['no events', histories([], []), CASE, '0 training events of 0 users and 0 items'],
    ['no validation case', histories([1, 2], [2]), NO_CASE, 'wanted at least one validation case'],
  ])('%s is refused with the numbers', (_name, train, cases, said) => {
    expect(() => checkData(CONFIG, train, cases, FEATURES)).toThrow(said);
  });

  it('features of other items are refused', () => {
    const train = histories([1, 2], [2]);
    expect(() => checkData(CONFIG, train, CASE, new Float32Array(4))).toThrow(
      'got 4 feature numbers, wanted 3 items x 2',
    );
    expect(() => checkData(CONFIG, histories([1, 4], [2]), CASE, FEATURES)).toThrow('name item 4');
  });
});
