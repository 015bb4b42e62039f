/**
 * The recurrent cell as an ONNX graph: one event in, next state and query out. The same computation as
 * `streaming`, from the same prepared weights, in float32.
 *
 * Nested matrices are written out with their zeros: four dense products a block, which every runtime has a fast
 * kernel for, instead of one per segment. Operators are those of opset 13 (2020), none of them fused.
 */
import type { Cell } from '@nestrec/streaming';
import type { Constant, GraphNode, GraphPort, OnnxModel } from './onnx-file.js';

type PreparedBlock = Cell['prepared'][number];
type NestedMatrix = PreparedBlock['gate'];

export const OPSET = 13;
/** eps of model.md's segment norm. */
const NORM_EPS = 1e-5;

export interface StepGraph extends Pick<
  OnnxModel,
  'inputs' | 'outputs' | 'constants' | 'nodes' | 'opset'
> {
  readonly opset: typeof OPSET;
}

/** Collects constants and nodes; a node is named after what it makes. */
interface Builder {
  readonly constants: Constant[];
  readonly nodes: GraphNode[];
  constant(name: string, shape: readonly number[], data: Constant['data']): string;
  /** One node with one output, whose name it returns. */
  node(
    output: string,
    operator: string,
    inputs: readonly string[],
    attributes?: Record<string, number>,
  ): string;
  /** Equal parts, as many as there are outputs. */
  split(outputs: readonly string[], input: string): void;
}

function createBuilder(): Builder {
  const constants: Constant[] = [];
  const nodes: GraphNode[] = [];
  const constant: Builder['constant'] = (name, shape, data) => {
    constants.push({ name, shape, data });
    return name;
  };
  const node: Builder['node'] = (output, operator, inputs, attributes = {}) => {
    nodes.push({ name: output, operator, inputs, outputs: [output], attributes });
    return output;
  };
  return {
    ...{ constants, nodes, constant, node },
    split: (outputs, input) =>
      nodes.push({
        ...{ name: `${input}.split`, operator: 'Split', inputs: [input], outputs },
        attributes: { axis: 1 },
      }),
  };
}

/** Inputs `state` and `item_vector`, outputs `next_state` and `query`; the first dimension of each is a batch. */
export function buildStepGraph(cell: Cell): StepGraph {
  const { dim, blocks, sizes } = cell;
  const builder = createBuilder();
  const { constant, node, split, constants, nodes } = builder;
  const norm = segmentNorm(builder, sizes);
  const parts = (prefix: string) =>
    ['re', 'im'].flatMap((part) =>
      Array.from({ length: blocks }, (_, k) => `${prefix}${k}_${part}`),
    );

  const flat = node('state.flat', 'Reshape', ['state', constant('state.row', [2], [0, -1])]);
  split(parts('h'), flat);
  cell.prepared.reduce(
    (x, block, k) => blockStep(builder, { block, k, sizes, dim, norm, last: k === blocks - 1 }, x),
    'item_vector',
  );
  const next = node('next_state.flat', 'Concat', parts('next_h'), { axis: 1 });
  const whole = constant('state.shape', [4], [0, 2, blocks, dim]);
  node('next_state', 'Reshape', [next, whole]);
  return { ...ports(dim, blocks), constants, nodes, opset: OPSET };
}

function ports(dim: number, blocks: number): { inputs: GraphPort[]; outputs: GraphPort[] } {
  const state = ['batch', 2, blocks, dim];
  const vector = ['batch', dim];
  return {
    inputs: [
      {
        ...{ name: 'state', shape: state },
        about:
          'Before the event: [:, 0] real, [:, 1] imaginary part. Zeros before the first event.',
      },
      { name: 'item_vector', shape: vector, about: "Row of item_vectors of the event's item." },
    ],
    outputs: [
      { name: 'next_state', shape: state, about: 'After the event: the state of the next run.' },
      { name: 'query', shape: vector, about: "Its inner product with an item's row is the score." },
    ],
  };
}

interface BlockContext {
  readonly block: PreparedBlock;
  readonly k: number;
  readonly sizes: readonly number[];
  readonly dim: number;
  readonly last: boolean;
  /** Adds the segment norm of `input` under names that begin with `prefix`. */
  readonly norm: (prefix: string, input: string) => string;
}

/** One block; returns the name of its output x'. See docs/model.md, forward pass. */
function blockStep(builder: Builder, context: BlockContext, x: string): string {
  const { node, split } = builder;
  const { block, k, sizes, norm, last } = context;
  const at = (name: string) => `block${k}.${name}`;
  const linear = (name: string, input: string, matrix: Dense) => {
    const weight = builder.constant(
      at(`${name}.weight`),
      [matrix.rows, matrix.columns],
      matrix.weights,
    );
    const bias = builder.constant(at(`${name}.bias`), [matrix.rows], matrix.bias);
    return node(at(name), 'Gemm', [input, weight, bias], { transB: 1 });
  };
  const dense = (matrix: NestedMatrix, sign = 1) => densify(matrix, sizes, sign);

  const v = linear(
    'input',
    norm(at('norm1'), x),
    stack(dense(block.inputRe), dense(block.inputIm)),
  );
  split([at('v_re'), at('v_im')], v);
  recurrence(builder, context);
  const h = node(at('h'), 'Concat', [`next_h${k}_re`, `next_h${k}_im`], { axis: 1 });
  const read = linear('output', h, beside(dense(block.outputRe), dense(block.outputIm, -1)));
  const a = node(at('a'), 'Add', [x, read]);

  const gateUp = stack(dense(block.gate), dense(block.up));
  split([at('gate'), at('up')], linear('gate_up', norm(at('norm2'), a), gateUp));
  const sigmoid = node(at('sigmoid'), 'Sigmoid', [at('gate')]);
  const silu = node(at('silu'), 'Mul', [at('gate'), sigmoid]);
  const gated = node(at('gated'), 'Mul', [silu, at('up')]);
  const down = linear('down', gated, dense(block.down));
  return node(last ? 'query' : at('x'), 'Add', [a, down]);
}

/** h' = lambda h + v, as real and imaginary part. */
function recurrence({ constant, node }: Builder, { block, k, dim }: BlockContext): void {
  const at = (name: string) => `block${k}.${name}`;
  const re = constant(at('lambda_re'), [dim], Float32Array.from(block.lambdaRe));
  const im = constant(at('lambda_im'), [dim], Float32Array.from(block.lambdaIm));
  const times = (name: string, lambda: string, h: string) => node(at(name), 'Mul', [lambda, h]);
  const reRe = times('re_re', re, `h${k}_re`);
  const imIm = times('im_im', im, `h${k}_im`);
  const reIm = times('re_im', re, `h${k}_im`);
  const imRe = times('im_re', im, `h${k}_re`);
  node(`next_h${k}_re`, 'Add', [node(at('turned_re'), 'Sub', [reRe, imIm]), at('v_re')]);
  node(`next_h${k}_im`, 'Add', [node(at('turned_im'), 'Add', [reIm, imRe]), at('v_im')]);
}

/**
 * Segment norm without gain and bias, which are in the matrices that follow. Means of all segments are one
 * product with an averaging matrix, so that the number of nodes does not grow with the segments. Variances are
 * of the centred numbers: a mean of squares less a squared mean would keep no digit of a small spread in float32.
 */
function segmentNorm({ constant, node }: Builder, sizes: readonly number[]) {
  const dim = sizes[sizes.length - 1]!;
  const segmentOf = sizes.flatMap((size, s) => Array<number>(size - (sizes[s - 1] ?? 0)).fill(s));
  const averaging = new Float32Array(dim * sizes.length);
  segmentOf.forEach((s, i) => {
    averaging[i * sizes.length + s] = 1 / (sizes[s]! - (sizes[s - 1] ?? 0));
  });
  const average = constant('segments.average', [dim, sizes.length], averaging);
  const index = constant('segments.index', [dim], segmentOf);
  const eps = constant('segments.eps', [1], Float32Array.of(NORM_EPS));
  return (prefix: string, input: string): string => {
    const at = (name: string) => `${prefix}.${name}`;
    const spread = (name: string, perSegment: string) =>
      node(at(name), 'Gather', [perSegment, index], { axis: 1 });
    const mean = node(at('segment_mean'), 'MatMul', [input, average]);
    const centred = node(at('centred'), 'Sub', [input, spread('mean', mean)]);
    const squares = node(at('squares'), 'Mul', [centred, centred]);
    const variance = node(at('segment_variance'), 'MatMul', [squares, average]);
    const deviation = node(at('segment_deviation'), 'Sqrt', [
      node(at('segment_variance_eps'), 'Add', [variance, eps]),
    ]);
    return node(prefix, 'Div', [centred, spread('deviation', deviation)]);
  };
}

/** A matrix row by row, and what it adds. */
interface Dense {
  readonly rows: number;
  readonly columns: number;
  readonly weights: Float32Array;
  readonly bias: Float32Array;
}

/** A nested matrix with its zeros, times `sign`. */
function densify({ weights, bias }: NestedMatrix, sizes: readonly number[], sign: number): Dense {
  const dim = sizes[sizes.length - 1]!;
  const out = new Float32Array(dim * dim);
  let from = 0;
  let row = 0;
  for (const width of sizes) {
    for (; row < width; row++, from += width) {
      for (let i = 0; i < width; i++) out[row * dim + i] = sign * weights[from + i]!;
    }
  }
  const shift = Float32Array.from(bias, (value) => sign * value);
  return { rows: dim, columns: dim, weights: out, bias: shift };
}

/** Both outputs of one input: [a; b]. */
function stack(a: Dense, b: Dense): Dense {
  const weights = new Float32Array(a.weights.length + b.weights.length);
  weights.set(a.weights);
  weights.set(b.weights, a.weights.length);
  const bias = Float32Array.of(...a.bias, ...b.bias);
  return { rows: a.rows + b.rows, columns: a.columns, weights, bias };
}

/** The sum of both outputs of two inputs: [a | b]. */
function beside(a: Dense, b: Dense): Dense {
  const columns = a.columns + b.columns;
  const weights = new Float32Array(a.rows * columns);
  for (let row = 0; row < a.rows; row++) {
    weights.set(a.weights.subarray(row * a.columns, (row + 1) * a.columns), row * columns);
    weights.set(
      b.weights.subarray(row * b.columns, (row + 1) * b.columns),
      row * columns + a.columns,
    );
  }
  return { rows: a.rows, columns, weights, bias: a.bias.map((value, i) => value + b.bias[i]!) };
}
