/** Memory of outputs is used again only when nobody can see it any more. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { suiteBackends } from '../../../../tests/helpers/backends.js';
import { selectBackend } from '../index.js';

const SIDE = 128;
const product = (value: number) =>
  tf.tidy(() => tf.matMul(tf.fill([SIDE, SIDE], value), tf.eye(SIDE)));
/** Takes whatever memory is free for a product of that size. */
const overwrite = () => product(7);

describe.skipIf(!suiteBackends.includes('native'))('memory of the native backend', () => {
  beforeAll(async () => {
    await selectBackend({ force: 'native' });
  });

  it('is not used again while a slice of a disposed tensor reads it', () => {
    const whole = product(1);
    const slice = tf.slice(whole, [3, 0], [2, SIDE]);
    whole.dispose();
    const other = overwrite();
    expect(new Set(slice.dataSync())).toEqual(new Set([1]));
    tf.dispose([slice, other]);
  });

  it('is not used again while somebody holds what was read of a disposed tensor', () => {
    const whole = product(1);
    const read = whole.dataSync();
    whole.dispose();
    const other = overwrite();
    expect(new Set(read)).toEqual(new Set([1]));
    other.dispose();
  });

  it('is used again otherwise', () => {
    const first = product(1);
    const { backend } = tf.engine() as unknown as { backend: { numbersOf(t: tf.Tensor): object } };
    const buffer = (tensor: tf.Tensor) => (backend.numbersOf(tensor) as Float32Array).buffer;
    const before = buffer(first);
    first.dispose();
    const buffers = Array.from({ length: 4 }, overwrite).map((tensor) => {
      const found = buffer(tensor);
      tensor.dispose();
      return found;
    });
    expect(buffers).toContain(before);
  });
});
