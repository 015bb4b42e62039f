import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { NamedArrays } from '@nestrec/contracts';
import {
  decodeCheckpoint,
  encodeCheckpoint,
  loadCheckpoint,
  removeCheckpoint,
  saveCheckpoint,
} from './checkpoint.js';
import { hashArrays } from './hash-bytes.js';
import type { RunState } from './run-state.js';

function arrays(...values: number[]): NamedArrays {
  return new Map([['a.weight', { shape: [values.length], data: Float32Array.from(values) }]]);
}

const STATE: RunState = {
  step: 17,
  epoch: 2,
  batchInEpoch: 5,
  lossSum: 123.456789012345,
  labelSum: 40,
  stopping: { best: 0.05, bestEpoch: 1, waited: 0 },
  epochs: [{ epoch: 1, step: 12, loss: 3.5, primary: 0.05, bySize: { '8': 0.05 }, lambdaMax: 0.6 }],
  parameters: arrays(1, 2.5),
  best: arrays(0.1, 1e-30),
  optimizer: new Map([['a.weight/m', { shape: [2], data: Float32Array.of(1e-9, -3) }]]),
};

/** A checkpoint as it would lie in a file. */
function bytesOf(state: RunState): Uint8Array {
  return Buffer.concat([...encodeCheckpoint(state, 'run')]);
}

function decode(bytes: Uint8Array, fingerprint = 'run'): Promise<RunState> {
  const read = async (into: Uint8Array, position: number) =>
    into.set(bytes.subarray(position, position + into.length));
  return decodeCheckpoint({ size: bytes.length, read }, fingerprint);
}

describe('checkpoint', () => {
  it('gives back exactly the state that was saved', async () => {
    expect(await decode(bytesOf(STATE))).toEqual(STATE);
  });

  it('keeps "no best yet" apart from an empty best', async () => {
    expect((await decode(bytesOf({ ...STATE, best: null }))).best).toBeNull();
  });

  it('is refused by another run', async () => {
    await expect(decode(bytesOf(STATE), 'other')).rejects.toThrow(/other settings, another seed/);
  });

  it('is refused when any weight bit flipped', async () => {
    const bytes = bytesOf(STATE);
    bytes[bytes.length - 1]! ^= 1;
    await expect(decode(bytes)).rejects.toThrow(/damaged/);
  });

  it('is refused when it is cut off or no checkpoint at all', async () => {
    const bytes = bytesOf(STATE);
    await expect(decode(bytes.subarray(0, bytes.length - 4))).rejects.toThrow(/truncated/);
    await expect(decode(new TextEncoder().encode('hello world'))).rejects.toThrow();
  });

  it('is null where there is no file, and gone once removed', async () => {
    const path = join(await mkdtemp(join(tmpdir(), 'nestrec-checkpoint-')), 'run.safetensors');
    expect(await loadCheckpoint(path, 'run')).toBeNull();
    await saveCheckpoint(path, STATE, 'run');
    expect((await loadCheckpoint(path, 'run'))?.step).toBe(17);
    await removeCheckpoint(path);
    expect(await loadCheckpoint(path, 'run')).toBeNull();
    await writeFile(path, '');
    await expect(loadCheckpoint(path, 'run')).rejects.toThrow();
  });
});

describe('hash of weights', () => {
  it('depends on names, shapes and bits, not on the order of entries', () => {
    const one = new Map([...arrays(1, 2), ['b', { shape: [1], data: Float32Array.of(3) }]]);
    const other = new Map([...one].reverse());
    expect(hashArrays(one)).toBe(hashArrays(other));
    expect(hashArrays(arrays(1, 2))).not.toBe(hashArrays(arrays(1, 2.0000002)));
    expect(hashArrays(arrays(0))).not.toBe(hashArrays(arrays(-0)));
  });
});
