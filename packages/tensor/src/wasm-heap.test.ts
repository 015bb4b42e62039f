import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { InsufficientMemory, isError } from '@nestrec/errors';
import { selectBackend } from './backend.js';
import { guardHeap, type WasmModule } from './wasm-heap.js';

const MIB = 2 ** 20;

beforeAll(() => selectBackend({ force: 'wasm' }));

function refusalOf(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

describe('the heap of wasm', () => {
  it('refuses the tensor that does not fit below 4 GiB, with what to do, and works on afterwards', () => {
    const { wasm } = tf.backend() as unknown as { wasm: WasmModule };
    // Never written to, so that the machine need not have this memory.
    const held = Array.from({ length: 15 }, () => wasm._malloc(256 * MIB));
    const tensor = () => tf.tensor1d(new Float32Array(64 * MIB));
    const refusal = refusalOf(tensor);
    expect(isError(refusal, InsufficientMemory), String(refusal)).toBe(true);
    expect(String(refusal)).toMatch(
      /268\.4 MB.*grown to 3\..* GiB and ends at 4.*setup:tensorflow/,
    );
    held.forEach((address) => wasm._free(address));
    const fits = tf.tidy(() => tf.add(tf.tensor1d(new Float32Array(MIB).fill(2)), 1));
    expect(fits.dataSync()[MIB - 1]).toBe(3);
    fits.dispose();
  });

  it('refuses an address behind its end, which the allocator answers where 32 bits run over', () => {
    const module: WasmModule = {
      _malloc: () => -1_073_649_424,
      _free: () => {},
      HEAPU8: { length: 3_221_356_544 },
    };
    guardHeap(module);
    expect(() => module._malloc(1024 * MIB)).toThrow(/1073\.7 MB/);
    expect(module._malloc(16)).toBe(-1_073_649_424);
  });
});
