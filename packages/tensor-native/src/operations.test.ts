/**
 * The addon by itself, on every instruction set that this processor has and on one to three threads: products of all
 * transposes against double precision, and wrong arguments, which must throw and never reach memory.
 *
 * `npm run test:sanitize` runs this file, and the suites of @nestrec/tensor and @nestrec/model on the native backend,
 * with a build under AddressSanitizer.
 */
import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { createRandom } from '@nestrec/random';
import { findNativeOperations, loadNativeOperations, type NativeOperations } from './index.js';
import { afterAll, describe, expect, it } from 'vitest';
import { suiteBackends } from '../../../tests/helpers/backends.js';

const available = suiteBackends.includes('native');
const native = available ? loadNativeOperations() : (null as unknown as NativeOperations);

function targetsHere(): string[] {
  return ['avx512', 'avx2', 'base'].filter((name) => {
    try {
      return native.setTarget(name) === name;
    } catch {
      return false;
    }
  });
}

const floats = (length: number, value = 0) => new Float32Array(length).fill(value);
const sizes = Int32Array.of(2, 5);
const steps = [Int32Array.of(2, 1), Int32Array.of(0, 2), new Uint8Array(3)] as const;
const doubles = (length: number) => new Float64Array(length);

/** A right call of every operation, by position of its arguments: 3 rows, sizes 2 and 5, 4 items, 6 features. */
const CALLS: Record<keyof NativeOperations, readonly unknown[]> = {
  multiply: [floats(6), floats(12), floats(8), 2, 4, 3, 0, 1],
  segmentNorm: [sizes, floats(15), floats(5), floats(5), floats(15), floats(15), floats(6)],
  segmentNormBackward: [
    ...[sizes, floats(15), floats(5), floats(15), floats(6)],
    ...[floats(15), floats(5), floats(5)],
  ],
  addMasked: [floats(15), floats(15), floats(15), floats(15)],
  multiplyMask: [floats(15), floats(15), floats(15)],
  gatedUnit: [floats(15), floats(15), floats(15), floats(15)],
  gatedUnitBackward: [floats(15), floats(15), floats(15), floats(15), floats(15), floats(15)],
  diagonalScan: [...steps, doubles(5), doubles(5), floats(30), floats(30)],
  diagonalScanBackward: [
    ...[...steps, doubles(5), doubles(5), floats(30), floats(30)],
    ...[doubles(5), doubles(5)],
  ],
  nestedLinear: [sizes, 2, 1, floats(15), floats(50), floats(10), floats(30)],
  nestedLinearBackward: [
    ...[sizes, 2, 1, floats(15), floats(50), floats(30)],
    ...[floats(15), floats(50), floats(10)],
  ],
  gatherRows: [floats(20), 5, Int32Array.of(3, 0), floats(10)],
  addRows: [floats(20), 5, Int32Array.of(3, 3), floats(10)],
  itemTable: [sizes, floats(30), 6, floats(25), floats(8), floats(30), floats(5), floats(20)],
  itemTableBackward: [
    ...[sizes, floats(30), 6, floats(25), floats(8)],
    ...[floats(30), floats(5), floats(20)],
  ],
  dropoutMask: [sizes, Int32Array.of(0, 9), floats(2), 7, Int32Array.of(4, 2, 9), floats(15)],
  scaleRows: [floats(15), floats(3), floats(15)],
  rowDots: [floats(15), floats(15), floats(3)],
  crossEntropy: [
    ...[sizes, floats(15), floats(20), Int32Array.of(0, 3, 1), floats(2, 1), floats(2, 1)],
    ...[floats(4), floats(2, 1), floats(15), floats(20), doubles(2), doubles(2)],
  ],
  countRanks: [
    ...[sizes, floats(15), floats(20), Int32Array.of(0, 3, 1)],
    ...[Int32Array.of(0, 1, 1, 2), Int32Array.of(2, 3), new Int32Array(6), new Int32Array(6)],
  ],
  adamw: [
    ...[floats(20), floats(20), floats(20), floats(10), 5, Int32Array.of(1, 3), floats(7, 1)],
    ...[floats(4), 1],
  ],
  sumSquares: [floats(9000)],
  setThreads: [2],
  setTarget: [null],
};

type Call = (...args: readonly unknown[]) => unknown;
const callOf = (name: string) => native[name as keyof NativeOperations] as unknown as Call;

/** Wrong in place of an argument; what leaves a call right is not among them. */
function wrongOnes(name: string, right: unknown, position: number): unknown[] {
  if (right instanceof Int32Array) {
    const outputs = name === 'countRanks' && position >= 6;
    const far = right.slice();
    if (name !== 'dropoutMask' || position !== 4) far[far.length - 1] = 1_000_000;
    else far[0] = -2;
    const negative = right.slice();
    negative[0] = -1;
    const longer = Int32Array.from([...right, 1]);
    return [undefined, 'text', floats(right.length), ...(outputs ? [longer] : [far, negative])];
  }
  if (ArrayBuffer.isView(right)) {
    const shape = right as Float32Array;
    const Kind = shape.constructor as new (length: number) => Float32Array;
    const free = name === 'sumSquares';
    const lengths = free ? [] : [new Kind(shape.length - 1), new Kind(shape.length + 1)];
    return [undefined, [1, 2], new Int16Array(shape.length), ...lengths];
  }
  return [undefined, 'text', -1, 0.5, 1e12, NaN];
}

describe.skipIf(!available)('native operations', () => {
  afterAll(() => {
    native.setTarget(null);
    native.setThreads(0);
  });

  it('multiply matrices of any shape, transposed or not, within rounding', () => {
    const side = fc.integer({ min: 0, max: 70 });
    for (const target of targetsHere()) {
      native.setTarget(target);
      fc.assert(
        fc.property(
          ...([side, side, fc.integer({ min: 0, max: 600 })] as const),
          ...([fc.boolean(), fc.boolean(), fc.integer({ min: 1, max: 3 }), fc.integer()] as const),
          (m, n, k, acrossA, acrossB, threads, seed) => {
            native.setThreads(threads);
            const random = createRandom(seed);
            const numbers = (count: number) =>
              Float32Array.from({ length: count }, () => random.normal());
            const [a, b, c] = [numbers(m * k), numbers(k * n), floats(m * n, NaN)];
            native.multiply(a, b, c, m, n, k, acrossA ? 1 : 0, acrossB ? 1 : 0);
            for (let i = 0; i < m; i++) {
              for (let j = 0; j < n; j++) {
                let sum = 0;
                for (let l = 0; l < k; l++) {
                  sum += a[acrossA ? l * m + i : i * k + l]! * b[acrossB ? j * k + l : l * n + j]!;
                }
                expect(Math.abs(c[i * n + j]! - sum)).toBeLessThan(1e-5 * Math.sqrt(k + 1) * 5);
              }
            }
          },
        ),
        { numRuns: 20 },
      );
    }
    expect(targetsHere().length).toBeGreaterThan(0);
  });

  it('has a checked call for every operation', () => {
    expect(Object.keys(native).sort()).toEqual(Object.keys(CALLS).sort());
    for (const [name, args] of Object.entries(CALLS)) {
      expect(() => callOf(name)(...args), name).not.toThrow();
    }
  });

  it.each(Object.keys(CALLS))('%s refuses wrong types, lengths and indices', (name) => {
    const args = CALLS[name as keyof NativeOperations];
    expect(() => callOf(name)(...args.slice(1)), 'an argument less').toThrow(RangeError);
    expect(() => callOf(name)(...args, null), 'an argument more').toThrow(RangeError);
    args.forEach((right, position) => {
      for (const wrong of wrongOnes(name, right, position)) {
        const changed = args.map((value, i) => (i === position ? wrong : value));
        const what = `${name}, argument ${position} = ${String(wrong).slice(0, 40)}`;
        expect(() => callOf(name)(...changed), what).toThrow(RangeError);
      }
    });
  });

  it('refuses arrays whose memory has been given away', () => {
    const gone = floats(15);
    structuredClone(gone.buffer, { transfer: [gone.buffer as ArrayBuffer] });
    expect(() => native.multiplyMask(floats(15), gone, floats(15))).toThrow(RangeError);
  });

  it('refuses steps that overlap, leave the rows or grow', () => {
    const scan = (active: number[], start: number[]) =>
      callOf('diagonalScan')(
        ...[Int32Array.from(active), Int32Array.from(start), new Uint8Array(3)],
        ...[doubles(5), doubles(5), floats(30), floats(30)],
      );
    expect(() => scan([2, 1], [0, 2])).not.toThrow();
    expect(() => scan([2, 2], [0, 2])).toThrow(RangeError);
    expect(() => scan([1, 2], [0, 1])).toThrow(RangeError);
    expect(() => scan([2, 1], [0, 1])).toThrow(RangeError);
    expect(() => scan([2], [0, 2])).toThrow(RangeError);
  });

  it('survives the end of worker threads that loaded it', () => {
    const file = process.env['NESTREC_NATIVE_ADDON'] ?? findNativeOperations()!;
    const work = `const addon = require(${JSON.stringify(file)}); addon.setThreads(4);
      const [a, b, c] = [0, 0, 0].map(() => new Float32Array(10000));
      for (let i = 0; i < 50; i++) addon.multiply(a, b, c, 100, 100, 100, 0, 0);`;
    const main = `const { Worker } = require('node:worker_threads');
      const one = () => new Promise((done, failed) =>
        new Worker(${JSON.stringify(work)}, { eval: true }).on('exit', done).on('error', failed));
      (async () => { for (let i = 0; i < 12; i++) await one(); })();`;
    const { status, signal } = spawnSync(process.execPath, ['-e', main]);
    expect({ status, signal }).toEqual({ status: 0, signal: null });
  });

  it('gives the same numbers on every instruction set and number of threads, within rounding', () => {
    const random = createRandom(4);
    const numbers = (count: number) => Float32Array.from({ length: count }, () => random.normal());
    const ladder = Int32Array.of(3, 16, 41);
    const [labels, items] = [230, 517];
    const [states, table] = [numbers(labels * 41), numbers(items * 41)];
    const targets = Int32Array.from({ length: labels }, () => random.int(items));
    const results = targetsHere().flatMap((target) =>
      [1, 2, 3].map((threads) => {
        native.setTarget(target);
        native.setThreads(threads);
        const [dStates, dTable] = [floats(states.length), floats(table.length)];
        const [loss, dScales] = [doubles(3), doubles(3)];
        native.crossEntropy(
          ...([ladder, states, table, targets, floats(3, 1 / 3), floats(3, 1)] as const),
          ...([null, floats(3, 0.5), dStates, dTable, loss, dScales] as const),
        );
        return [...loss, ...dScales, ...dStates, ...dTable];
      }),
    );
    const largest = results[0]!.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (const result of results.slice(1)) {
      result.forEach((value, i) => {
        const scale = i < 6 ? largest : 1e-2;
        expect(Math.abs(value - results[0]![i]!) / scale).toBeLessThan(1e-5);
      });
    }
  });
});
