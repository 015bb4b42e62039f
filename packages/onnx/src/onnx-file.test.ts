import { describe, expect, it } from 'vitest';
import { RUNTIMES } from '../../../tests/helpers/onnx-step.js';
import { assertHolds, encodeOnnx, type OnnxModel } from './onnx-file.js';

/** y = reshape(x w): numbers, whole numbers and an attribute in one small graph. */
const MODEL: OnnxModel = {
  ...{ name: 'small', about: 'A test.', opset: 13, producerVersion: '0.1.0', metadata: { a: 'b' } },
  inputs: [{ name: 'x', shape: ['batch', 2], about: 'In.' }],
  outputs: [{ name: 'y', shape: [3, 'batch'], about: 'Out.' }],
  constants: [
    { name: 'w', shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
    { name: 'b', shape: [3], data: Float32Array.of(0.5, 0, -0.5) },
    { name: 'shape', shape: [2], data: [3, -1] },
  ],
  nodes: [
    {
      ...{ name: 'product', operator: 'Gemm', inputs: ['x', 'w', 'b'], outputs: ['xw'] },
      attributes: { transB: 1 },
    },
    {
      ...{ name: 'y', operator: 'Reshape', inputs: ['xw', 'shape'], outputs: ['y'] },
      attributes: {},
    },
  ],
};

describe('encodeOnnx', () => {
  it.each(RUNTIMES)('writes files that %s runs', async (_name, onnx) => {
    const session = await onnx.InferenceSession.create(encodeOnnx(MODEL));
    const x = new onnx.Tensor('float32', Float32Array.of(1, 10), [1, 2]);
    const { y } = await session.run({ x });
    expect(y!.dims).toEqual([3, 1]);
    expect([...(y!.data as Float32Array)]).toEqual([21.5, 43, 64.5]);
  });

  it('gives equal bytes for equal models', () => {
    expect(encodeOnnx(MODEL)).toEqual(encodeOnnx(structuredClone(MODEL)));
  });

  it('refuses what the format cannot hold, before it takes the memory', () => {
    assertHolds(2 ** 31 - 1);
    expect(() => assertHolds(2 ** 31)).toThrow(/2147483648 bytes.*smaller size/);
  });
});
