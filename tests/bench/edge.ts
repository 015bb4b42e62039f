/**
 * What an exported slice costs where it runs: bytes of its files, one event in onnxruntime for Node and in its
 * wasm (in Node), and the ranking of docs/edge.md's example as it stands there. Random weights: times do not
 * depend on them. One thread.
 *
 * Run: npm run bench:edge -- [--items 12101] [--sizes 8,16,32,64] [--blocks 1,2] [--runs 200]
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { saveEdgeModel } from '@nestrec/onnx';
import onnxNode from 'onnxruntime-node';
import { RUNTIMES, type Onnx } from '../helpers/onnx-step.js';
import { makeArtifact } from '../helpers/published-artifact.js';
import { repositoryRoot } from '../helpers/started-process.js';

const { values: flags } = parseArgs({
  options: {
    items: { type: 'string', default: '12101' },
    sizes: { type: 'string', default: '8,16,32,64' },
    blocks: { type: 'string', default: '1,2' },
    runs: { type: 'string', default: '200' },
  },
});
function numbers(name: keyof typeof flags): number[] {
  const values = flags[name].split(',').map(Number);
  if (values.every((value) => Number.isInteger(value) && value >= 1)) return values;
  throw new Error(`--${name} is ${flags[name]}; wanted whole numbers from 1, separated by commas`);
}
const [items, runs, sizes] = [numbers('items')[0]!, numbers('runs')[0]!, numbers('sizes')];

/** Median and 95th percentile in ms, after as many runs that are not counted as a tenth. */
async function time(act: () => unknown): Promise<string> {
  const times: number[] = [];
  for (let run = 0; run < 1.1 * runs; run++) {
    const start = performance.now();
    await act();
    if (run >= 0.1 * runs) times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(share * times.length)]!.toFixed(3);
  return `${at(0.5)} / ${at(0.95)}`;
}

interface Recommender {
  fold(history: readonly string[]): Promise<unknown>;
  rank(user: unknown, k: number, hidden: readonly string[]): unknown;
}
type Open = (onnx: Onnx, read: (name: string) => Promise<Uint8Array>) => Promise<Recommender>;

/** The example's module, taken out of the page. */
async function exampleOf(folder: string): Promise<Open> {
  const page = await readFile(join(repositoryRoot, 'docs/edge.md'), 'utf8');
  const file = join(folder, 'recommender.mjs');
  await writeFile(file, /^```js\n(\/\/ recommender\.mjs\n[\s\S]*?)^```$/m.exec(page)![1]!);
  const module = (await import(pathToFileURL(file).href)) as { createRecommender: Open };
  return module.createRecommender;
}

/** One event with the state and the row at hand. */
async function timeStep(onnx: Onnx, file: Uint8Array, blocks: number, dim: number) {
  const options = { intraOpNumThreads: 1 };
  const session = await onnx.InferenceSession.create(file, options);
  const state = new onnx.Tensor('float32', new Float32Array(2 * blocks * dim), [1, 2, blocks, dim]);
  const vector = Float32Array.from({ length: dim }, (_, i) => Math.sin(i));
  const item = new onnx.Tensor('float32', vector, [1, dim]);
  const result = await time(() => session.run({ state, item_vector: item }));
  await session.release();
  return result;
}

const folder = await mkdtemp(join(tmpdir(), 'nestrec-bench-edge-'));
try {
  const createRecommender = await exampleOf(folder);
  const dim = sizes.at(-1)!;
  console.log(`${items} items, sizes ${sizes.join(' ')}; median / p95 ms of ${runs} runs`);
  for (const blocks of numbers('blocks')) {
    const artifact = makeArtifact({ version: `k${blocks}`, blocks, items, sizes });
    const { path, manifest } = await saveEdgeModel(artifact, dim, folder);
    const read = async (name: string) => new Uint8Array(await readFile(join(path, name)));
    const files = manifest.files.map(({ name, bytes }) => `${name} ${bytes}`);
    console.log(`K = ${blocks}: bytes: ${files.join(', ')}`);
    for (const [name, onnx] of RUNTIMES) {
      const step = await timeStep(onnx, await read('step.onnx'), blocks, dim);
      console.log(`  one event, ${name}: ${step}`);
    }
    const recommender = await createRecommender(onnxNode, read);
    const history = artifact.itemIds.slice(0, 10);
    const user = await recommender.fold(history);
    console.log(`  rank 10: ${await time(() => recommender.rank(user, 10, history))}`);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
