/** Runs an exported step as an application would, in onnxruntime for Node or for the web (its wasm, in Node). */
import type { UserState } from '@nestrec/streaming';
import onnxNode from 'onnxruntime-node';
import onnxWeb from 'onnxruntime-web';

/** What both packages give, that of onnxruntime-common. */
export type Onnx = Pick<typeof onnxNode, 'InferenceSession' | 'Tensor'>;
export const RUNTIMES: readonly (readonly [string, Onnx])[] = [
  ['onnxruntime-node', onnxNode],
  ['onnxruntime-web', onnxWeb],
];
onnxWeb.env.wasm.numThreads = 1;

export interface StepRunner {
  /** One event of each user: states (2 x K x D each) and item vectors, row by row. */
  run(states: readonly Float32Array[], items: readonly Float32Array[]): Promise<StepResult[]>;
  close(): Promise<void>;
}

export interface StepResult {
  readonly state: Float32Array;
  readonly query: Float32Array;
}

export async function openStep(
  onnx: Onnx,
  file: Uint8Array,
  { blocks, dim }: { readonly blocks: number; readonly dim: number },
): Promise<StepRunner> {
  const session = await onnx.InferenceSession.create(file, { logSeverityLevel: 3 });
  const tensor = (rows: readonly Float32Array[], shape: readonly number[]) => {
    const data = Float32Array.from(rows.flatMap((row) => [...row]));
    return new onnx.Tensor('float32', data, [rows.length, ...shape]);
  };
  return {
    close: () => session.release(),
    run: async (states, items) => {
      const outputs = await session.run({
        state: tensor(states, [2, blocks, dim]),
        item_vector: tensor(items, [dim]),
      });
      const rows = (name: string, width: number) => {
        const data = outputs[name]!.data as Float32Array;
        return states.map((_, row) => data.slice(row * width, (row + 1) * width));
      };
      const queries = rows('query', dim);
      return rows('next_state', 2 * blocks * dim).map((state, row) => ({
        ...{ state, query: queries[row]! },
      }));
    },
  };
}

/** What `streaming` keeps of a user, as the step takes it: Re h, then Im h. */
export function stepState({ re, im }: UserState): Float32Array {
  return Float32Array.of(...re, ...im);
}
