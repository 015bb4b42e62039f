/**
 * The example of docs/edge.md as it stands there, in Node and in a browser: the same scores, to all the digits
 * that the API shows, as the platform's own cell.
 */
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { saveEdgeModel } from '@nestrec/onnx';
import { itemVectors, sliceParameters } from '@nestrec/parameters';
import { createCell } from '@nestrec/streaming';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { browserTitle, chromium, visit } from '../helpers/chromium.js';
import { itemIdOf, makeArtifact } from '../helpers/published-artifact.js';
import { repositoryRoot, startProcess } from '../helpers/started-process.js';

interface Ranked {
  readonly item_id: string;
  readonly score: number;
}

const onnxruntime = join(repositoryRoot, 'node_modules/onnxruntime-web/dist');
const DIM = 8;
const artifact = makeArtifact({ version: 'v1', blocks: 2, items: 60 });
/** Longer than the model remembers, with an item that it does not know. */
const HISTORY = [
  ...Array.from({ length: artifact.manifest.replayEvents + 5 }, (_, n) => itemIdOf((7 * n) % 13)),
  'unheard',
  itemIdOf(21),
];

let folder: string;
let model: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestrec-edge-example-'));
  model = (await saveEdgeModel(artifact, DIM, folder)).path;
  await symlink(join(repositoryRoot, 'node_modules'), join(folder, 'node_modules'));
  const page = await readFile(join(repositoryRoot, 'docs/edge.md'), 'utf8');
  for (const [, text] of page.matchAll(/^```js\n([\s\S]*?)^```$/gm)) {
    const name = /^\/\/ (\S+)\n/.exec(text!)![1]!;
    await writeFile(join(folder, name), text!);
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The best k for the whole history, by the full model's cell. */
function reference(k: number): Ranked[] {
  const { config } = artifact.manifest;
  const small = sliceParameters(config, artifact.parameters, DIM);
  const table = itemVectors(small.config, small.parameters, artifact.features);
  const row = (r: number) => table.subarray(r * DIM, (r + 1) * DIM);
  const cell = createCell(small.config, small.parameters);
  const rows = HISTORY.map((itemId) => artifact.itemIds.indexOf(itemId)).filter((r) => r >= 0);
  const query = cell.query(cell.fold(rows.map(row)));
  const score = (r: number) => row(r).reduce((sum, value, i) => sum + value * query[i]!, 0);
  return artifact.itemIds
    .map((itemId, r) => ({ item_id: itemId, score: score(r) }))
    .filter((item) => !HISTORY.includes(item.item_id))
    .sort((a, b) => b.score - a.score)
    .slice(0, k);
}

function expectRanked(got: readonly Ranked[]): void {
  const wanted = reference(5);
  expect(got.map((item) => item.item_id)).toEqual(wanted.map((item) => item.item_id));
  got.forEach((item, i) => expect(Math.abs(item.score - wanted[i]!.score)).toBeLessThan(2e-5));
}

describe('the example of docs/edge.md', () => {
  it('ranks in Node as the platform does', async () => {
    const example = startProcess(
      process.execPath,
      [join(folder, 'node-example.mjs'), model, ...HISTORY],
      {},
    );
    expect(await example.ended, example.output()).toBe(0);
    expectRanked(JSON.parse(example.output()) as Ranked[]);
  });
});

describe.skipIf(chromium === undefined)(browserTitle('the example of docs/edge.md'), () => {
  it('ranks in a browser as the platform does', async () => {
    const bundled = await build({
      entryPoints: [join(folder, 'browser-example.mjs')],
      ...{ bundle: true, write: false, format: 'esm', platform: 'browser', target: 'es2023' },
    });
    const wasm = 'ort-wasm-simd-threaded.wasm';
    const html =
      '<link rel="icon" href="data:,"><body><script type="module" src="/page.mjs"></script>';
    const files = new Map<string, readonly [type: string, content: string | Uint8Array]>([
      ['/', ['text/html', html]],
      ['/page.mjs', ['text/javascript', bundled.outputFiles[0]!.contents]],
      [`/${wasm}`, ['application/wasm', await readFile(join(onnxruntime, wasm))]],
    ]);
    for (const name of await readdir(model)) {
      files.set(`/model/${name}`, ['application/octet-stream', await readFile(join(model, name))]);
    }
    const server = createServer((req, res) => {
      const found = files.get(new URL(req.url!, 'http://localhost').pathname);
      if (found === undefined) return void res.writeHead(404).end();
      res.setHeader('Content-Type', found[0]).end(found[1]);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const query = new URLSearchParams(HISTORY.map((itemId): [string, string] => ['item', itemId]));
    const page = await visit(`http://127.0.0.1:${port}/?${query}`);
    server.close();
    expect(page.console).toEqual([]);
    const body = /<body>(\[.*\])/s.exec(page.dom);
    expect(body, page.dom).not.toBeNull();
    expectRanked(JSON.parse(body![1]!) as Ranked[]);
  });
});
