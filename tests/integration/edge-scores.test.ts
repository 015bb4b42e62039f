/**
 * A trained model's edge files against the published model: what onnxruntime ranks for a session is what the
 * recommender answers at that size, items and scores.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { saveEdgeModel } from '@nestrec/onnx';
import { publishVersion } from '@nestrec/publishing';
import { createRandom } from '@nestrec/random';
import { loadArtifact } from '@nestrec/registry';
import { createPublishedModels, createRecommender } from '@nestrec/retrieval';
import { silentLogger } from '@nestrec/runtime';
import { selectBackend } from '@nestrec/tensor';
import { decodeSafetensors } from '@nestrec/tensor-files';
import { planTraining, runTraining } from '@nestrec/trainer';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { openStep, RUNTIMES } from '../helpers/onnx-step.js';
import { wipeAll } from '../helpers/state-verification.js';
import { tiersOf } from '../helpers/tiers-of.js';
import { fillShop } from '../helpers/training-data.js';

const logger = silentLogger();
const SIZES = [4, 8, 16];
const SHOP = { users: 80, items: 50, eventsPerUser: 8 };
/** The API's scores have five decimals; both are rounded, and what is rounded differs by some 1e-6. */
const SCORE_TOLERANCE = 2e-5;

interface Ranked {
  readonly item_id: string;
  readonly score: number;
}

let folder: string;
beforeAll(async () => {
  await selectBackend({ force: 'cpu' });
  folder = await mkdtemp(join(tmpdir(), 'nestrec-edge-scores-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Recommends from the four files alone. */
async function openEdge(path: string) {
  const file = (name: string) => readFile(join(path, name));
  const { dim, blocks } = JSON.parse(await file('manifest.json').then(String)) as {
    dim: number;
    blocks: number;
  };
  const itemIds = JSON.parse(await file('items.json').then(String)) as string[];
  const { arrays } = decodeSafetensors(await file('vectors.safetensors'));
  const table = arrays.get('item_vectors')!.data;
  const row = (r: number) => table.subarray(r * dim, (r + 1) * dim);
  const [, onnx] = RUNTIMES[0]!;
  const step = await openStep(onnx, await file('step.onnx'), { dim, blocks });
  return {
    close: () => step.close(),
    async recommend(session: readonly string[]): Promise<Ranked[]> {
      let state: Float32Array = new Float32Array(2 * blocks * dim);
      let query = arrays.get('initial_query')!.data;
      for (const itemId of session) {
        [{ state, query }] = (await step.run([state], [row(itemIds.indexOf(itemId))])) as [
          { state: Float32Array; query: Float32Array },
        ];
      }
      return itemIds
        .map((item_id, r) => ({
          item_id,
          score: row(r).reduce((sum, value, i) => sum + value * query[i]!, 0),
        }))
        .sort((a, b) => b.score - a.score)
        .slice(0, 10);
    },
  };
}

/** How many of the ten places are compared: those whose items no rounding can exchange with a neighbour. */
function expectSameTop(got: readonly Ranked[], wanted: readonly Ranked[]): number {
  expect(wanted).toHaveLength(10);
  let clear = 0;
  wanted.forEach((item, i) => {
    expect(Math.abs(got[i]!.score - item.score)).toBeLessThan(SCORE_TOLERANCE);
    const gap = (j: number) => Math.abs((wanted[j]?.score ?? Infinity) - item.score);
    // The item after the tenth is not in the list, so the tenth may have a tie that nobody sees.
    if (i === 9 || Math.min(gap(i - 1), gap(i + 1)) < 2 * SCORE_TOLERANCE) return;
    clear++;
    expect(got[i]!.item_id).toBe(item.item_id);
  });
  return clear;
}

describeDatabases('edge files of a trained model', (database) => {
  it.each([1, 2])(
    'rank sessions as the recommender does, at every size (K = %i)',
    async (blocks) => {
      const db = database();
      await wipeAll(db);
      await fillShop(db, SHOP);
      const version = `edge_k${blocks}_${db.kind}`;
      const plan = await planTraining(db, {
        ...{ mode: 'full', preset: 'fast', sizes: SIZES, blocks, overrides: { maxEpochs: 3 } },
      });
      await runTraining({
        ...{ db, version, modelsDir: folder, checkpointsDir: join(folder, 'checkpoints', version) },
        ...{ ...plan, textWidth: 8, seed: 1, protocol: 'leave-one-out', commit: null },
      });
      const artifact = await loadArtifact(join(folder, version));
      await publishVersion({
        ...{ db, artifact, path: join(folder, version), tiers: tiersOf(null), logger },
        ...{ recallQueries: 2, minRecall: 0, force: true },
      });
      const models = createPublishedModels({
        ...{ db, logger, pollMs: 0 },
        loadArtifact: () => Promise.resolve(artifact),
      });
      const recommender = createRecommender({ db, models, logger });
      const random = createRandom(blocks);
      let [places, clear] = [0, 0];
      for (const dim of SIZES) {
        const edge = await openEdge((await saveEdgeModel(artifact, dim, folder)).path);
        for (let n = 0; n < 15; n++) {
          const session = Array.from(
            { length: 1 + random.int(12) },
            () => artifact.itemIds[random.int(SHOP.items)]!,
          );
          const { items } = await recommender.recommendForSession({
            ...{ items: session, k: 10, dim, excludeSeen: false },
          });
          clear += expectSameTop(await edge.recommend(session), items);
          places += 9;
        }
        await edge.close();
      }
      expect(clear / places).toBeGreaterThan(0.95);
    },
  );
});
