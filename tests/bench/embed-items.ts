/**
 * How fast items that a model has not learned are embedded, by features alone and filled from the learned items most
 * like them: the share of one processor that `PUT /v1/items` needs beside the database, for each live version.
 *
 * Run: npm run bench:embed -- [--items 12000,100000] [--width 384] [--dim 256] [--new 2000] [--json]
 *
 * Items are generated: unit features around centres, 20 items each. Beside the rates stands how often the likest item
 * that a search finds is the likest there is, on 100 of the new items.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import type { FeatureSpec, Item, ModelConfig, NamedArray } from '@nestrec/contracts';
import { indexLikeItems, type LikeItemsIndex } from '@nestrec/features';
import { initParameters, ITEM_RESIDUAL } from '@nestrec/parameters';
import { createItemEmbedder } from '@nestrec/publishing';
import { createRandom } from '@nestrec/random';
import type { Artifact } from '@nestrec/registry';
import { selectBackend } from '@nestrec/tensor';
import { fitLikeness } from '@nestrec/training';

const { values: flags } = parseArgs({
  options: {
    items: { type: 'string', default: '12000,100000' },
    width: { type: 'string', default: '384' },
    dim: { type: 'string', default: '256' },
    new: { type: 'string', default: '2000' },
    json: { type: 'boolean', default: false },
  },
});
const [WIDTH, DIM, NEW] = [flags.width, flags.dim, flags.new].map(Number) as [
  number,
  number,
  number,
];
const PER_CENTRE = 20;
const JUDGED = 100;
const NOISE = 0.03;
const spec: FeatureSpec = {
  modalities: [{ name: 'text', width: WIDTH, kind: 'vector', normalisation: 'l2' }],
  missingIndicators: true,
};

/** Unit rows with a missing indicator of 0, near one of the centres. */
function generate(count: number, seed: number): Float32Array {
  const random = createRandom(seed);
  const centres = Float32Array.from({ length: Math.ceil(count / PER_CENTRE) * WIDTH }, () =>
    random.normal(),
  );
  const features = new Float32Array(count * (WIDTH + 1));
  for (let row = 0; row < count; row++) {
    const centre = random.int(centres.length / WIDTH) * WIDTH;
    const at = row * (WIDTH + 1);
    let squares = 0;
    for (let i = 0; i < WIDTH; i++) {
      const value = centres[centre + i]! + NOISE * Math.sqrt(WIDTH) * random.normal();
      features[at + i] = value;
      squares += value * value;
    }
    for (let i = 0; i < WIDTH; i++) features[at + i]! /= Math.sqrt(squares);
  }
  return features;
}

function artifactOf(features: Float32Array, count: number): Artifact {
  const config: ModelConfig = {
    ...{ sizes: [DIM / 4, DIM / 2, DIM], blocks: 1, featureWidth: WIDTH + 1, numItems: count },
    ...{ useBias: true, itemResidual: true, scoreScale: true, rMin: 0, rMax: 0.5 },
  };
  const random = createRandom(2);
  const parameters = new Map<string, NamedArray>(initParameters(config, random));
  const data = Float32Array.from({ length: count * DIM }, () => random.normal());
  parameters.set(ITEM_RESIDUAL, { shape: [count, DIM], data });
  return {
    ...{ parameters, features, encoder: null, likeness: fitLikeness(features, WIDTH + 1, spec) },
    itemIds: Array.from({ length: count }, (_, row) => `i${row}`),
    // Of a manifest an embedder reads no more than this.
    manifest: { version: 'v1', config, features: spec } as Artifact['manifest'],
  };
}

const cpuSeconds = () => process.cpuUsage().user / 1e6;

async function measure(artifact: Artifact, items: readonly Item[]) {
  const startedAt = cpuSeconds();
  const embedder = await createItemEmbedder(artifact);
  const readyAt = cpuSeconds();
  for (const item of items) embedder.embedCatalogue(item);
  const perMinute = Math.round((items.length / (cpuSeconds() - readyAt)) * 60);
  return { readySeconds: Number((readyAt - startedAt).toFixed(2)), perMinute };
}

/** Share of queries whose likest item was found. */
async function hits(artifact: Artifact, count: number, queries: readonly Float32Array[]) {
  const { features, likeness } = artifact;
  const rows = Array.from({ length: count }, (_, row) => row);
  const index = await indexLikeItems({ features, spec, likeness: likeness!, rows });
  // Each part is small enough to be searched whole.
  const parts: LikeItemsIndex[] = [];
  for (let from = 0; from < count; from += 2_000) {
    const part = rows.slice(from, from + 2_000);
    parts.push(await indexLikeItems({ features, spec, likeness: likeness!, rows: part }));
  }
  const found = queries.filter((query) => {
    const best = Math.max(...parts.map((part) => part.find(query, 1).likeness[0]!));
    return index.find(query, 1).likeness[0]! >= best - 1e-6;
  });
  return found.length / queries.length;
}

await selectBackend({});
const rows = [];
for (const count of flags.items.split(',').map(Number)) {
  // The last ones are new, and stand near the centres of the others.
  const all = generate(count + NEW, 1);
  const features = all.subarray(0, count * (WIDTH + 1));
  const fresh = Array.from({ length: NEW }, (_, n) => {
    const at = (count + n) * (WIDTH + 1);
    return all.subarray(at, at + WIDTH + 1);
  });
  const items = fresh.map((feature, n) => ({
    ...{ item_id: `new${n}`, available: true },
    features: { text: Array.from(feature.subarray(0, WIDTH)) },
  }));
  const plain = artifactOf(features, count);
  const coldItems = { strength: 1.25, neighbours: 5, temperature: 0.05, threshold: 0.7 };
  const filling = { ...plain, manifest: { ...plain.manifest, coldItems } };
  const alone = await measure(plain, items);
  const filled = await measure(filling, items);
  const found = await hits(plain, count, fresh.slice(0, JUDGED));
  rows.push({ items: count, alone, filled, found });
  process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`);
}
if (flags.json)
  process.stdout.write(`${JSON.stringify({ cpu: cpus()[0]?.model, rows }, null, 2)}\n`);
else {
  const lines = rows.map(
    ({ items, alone, filled, found }) =>
      `| ${items} | ${alone.perMinute} | ${filled.perMinute} | ${(alone.perMinute / filled.perMinute).toFixed(1)} | ${filled.readySeconds} | ${found} |`,
  );
  process.stdout.write(
    `F = ${WIDTH}, D = ${DIM}, ${NEW} new items, one version, one core of ${cpus()[0]?.model}\n\n` +
      '| learned items | features alone, items a minute of processor time | filled | ratio | seconds until ready | likest found |\n' +
      `|---|---|---|---|---|---|\n${lines.join('\n')}\n`,
  );
}
