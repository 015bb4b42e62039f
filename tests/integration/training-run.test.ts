/** A training run over the real database: what it reads, what it saves, what it refuses. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Item } from '@nestrec/contracts';
import { parseVector, type Database } from '@nestrec/database';
import { InsufficientData, InvalidInput, isError } from '@nestrec/errors';
import { createItemEmbedder } from '@nestrec/publishing';
import { loadArtifact } from '@nestrec/registry';
import { getVersion, insertInteractions, itemVectorsTable, upsertItems } from '@nestrec/storage';
import { selectBackend } from '@nestrec/tensor';
import { createSettings } from '@nestrec/training';
import {
  readTrainingData,
  runEvaluation,
  runTraining,
  type TrainingRunOptions,
} from '@nestrec/trainer';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { publishingOn } from '../helpers/publishing.js';

const USERS = 40;
const ITEMS = 20;
const OPTIONS = { textWidth: 8, seed: 1 };

let modelsDir: string;
beforeAll(async () => {
  await selectBackend({ force: 'wasm' });
  modelsDir = await mkdtemp(join(tmpdir(), 'nestrec-training-run-'));
});
afterAll(() => rm(modelsDir, { recursive: true, force: true }));

const event = (user: number, n: number) => ({
  eventId: `e${user}-${n}`,
  userId: `u${user}`,
  itemId: `i${(user + n) % ITEMS}`,
  type: 'view',
  timestampMs: Date.UTC(2026, 0, 1) + user * 1_000 + n * 86_400_000,
  value: null,
});

/** Items with a text, every other one with an image; the last has neither; one nobody touched. */
const item = (i: number): Item => ({
  item_id: `i${i}`,
  available: true,
  ...(i === ITEMS - 1 ? {} : { title: `Blue thing ${i}`, brand: `Brand ${i % 3}` }),
  ...(i % 2 === 0 ? { features: { image: [1, i, 0, 2] } } : {}),
});

async function fill(db: Database): Promise<void> {
  const users = Array.from({ length: USERS }, (_, user) => user);
  await insertInteractions(
    db,
    users.flatMap((user) => Array.from({ length: 6 }, (_, n) => event(user, n))),
  );
  await upsertItems(
    db,
    Array.from({ length: ITEMS + 1 }, (_, i) => item(i)),
  );
}

describeDatabases('training run', (database) => {
  it('refuses an empty database and says what to do', async () => {
    const error = await readTrainingData(database(), OPTIONS).catch((e: unknown) => e);
    expect(isError(error, InsufficientData)).toBe(true);
    expect(String(error)).toContain('nestrec import events');
  });

  it('makes one feature row per item of the interactions, with indicators for what is missing', async () => {
    const db = database();
    await fill(db);
    const data = await readTrainingData(db, OPTIONS);
    expect(data.dataset.itemIds).toHaveLength(ITEMS);
    expect(data.spec.modalities.map(({ name, width }) => [name, width])).toEqual([
      ['text', 8],
      ['image', 4],
    ]);
    const row = (id: string) => {
      const r = data.dataset.itemIds.indexOf(id);
      return [...data.features.subarray(r * data.featureWidth, (r + 1) * data.featureWidth)];
    };
    expect(row('i0').slice(12)).toEqual([0, 0]);
    expect(row('i1').slice(8)).toEqual([0, 0, 0, 0, 0, 1]);
    expect(row(`i${ITEMS - 1}`)).toEqual([...Array<number>(12).fill(0), 1, 1]);
    expect(new Date(data.fromMs).toISOString()).toBe('2026-01-01T00:00:00.000Z');
  });

  it('lets imported text vectors take the place of the built-in encoder', async () => {
    const db = database();
    await fill(db);
    await upsertItems(db, [{ ...item(0), features: { text: [3, 4] } }]);
    const data = await readTrainingData(db, OPTIONS);
    expect(data.encoder).toBeNull();
    expect(data.spec.modalities[0]).toMatchObject({ name: 'text', width: 2, kind: 'vector' });
    const row = data.dataset.itemIds.indexOf('i0');
    const block = data.text!.vectors.subarray(row * 2, row * 2 + 2);
    expect(block[0]).toBeCloseTo(0.6);
    expect(block[1]).toBeCloseTo(0.8);
  });

  it('refuses vectors of two widths in one modality and names both', async () => {
    const db = database();
    await fill(db);
    await upsertItems(db, [{ ...item(0), features: { image: [1, 2] } }]);
    const error = await readTrainingData(db, OPTIONS).catch((e: unknown) => e);
    expect(isError(error, InvalidInput)).toBe(true);
    expect(String(error)).toMatch(/"image" has vectors of \d and of \d/);
  });

  it('saves an artifact that loads, registers it as a candidate, and can be measured again', async () => {
    const db = database();
    await fill(db);
    const version = `run_${db.kind}`;
    const run: TrainingRunOptions = {
      db,
      modelsDir,
      checkpointsDir: join(modelsDir, 'checkpoints', db.kind),
      version,
      config: { sizes: [4, 8], blocks: 1 },
      settings: createSettings('fast', [4, 8], { maxEpochs: 2 }),
      protocol: 'leave-one-out',
      commit: null,
      ...OPTIONS,
    };
    const manifest = await runTraining(run);
    expect(await getVersion(db, version)).toMatchObject({ status: 'candidate' });
    const artifact = await loadArtifact(join(modelsDir, version));
    expect(artifact.manifest).toEqual(manifest);
    expect(manifest.data).toMatchObject({ users: USERS, items: ITEMS, interactions: USERS * 6 });
    const { quality } = await runEvaluation(db, artifact, 'leave-one-out', {
      folder: modelsDir,
    });
    const ndcg = (rows: typeof quality) =>
      rows
        .filter((row) => row.part === 'test' && row.seenMasked)
        .map((row) => [row.scorer, row.metrics['ndcg@10']!.toFixed(6)]);
    expect(ndcg(quality)).toEqual(ndcg(manifest.quality));
    // Where the events lie, and in which thread batches are packed, changes nothing.
    const fromFile = await runTraining({ ...run, version: `${version}_file`, eventsInMemory: 0 });
    expect(fromFile.quality).toEqual(manifest.quality);
    expect(fromFile.lambdaMax).toBe(manifest.lambdaMax);
    // Said before the training, not after it.
    const stages: string[] = [];
    const again = { ...run, onStage: (stage: string) => stages.push(stage) };
    await expect(runTraining(again)).rejects.toThrow(/never overwritten/);
    expect(stages).toEqual([]);
    // A run that was killed after saving takes what it saved, and registers it; what it had half written goes.
    await db.query('DELETE FROM model_versions WHERE version = $1', [version]);
    const half = join(modelsDir, `.${version}.0123456789ab.tmp`);
    await mkdir(half);
    expect(await runTraining({ ...again, continues: true })).toEqual(manifest);
    expect(existsSync(half)).toBe(false);
    expect(await getVersion(db, version)).toMatchObject({ status: 'candidate' });
    expect(stages).toEqual([]);
  });

  it('makes a version that has the new form of an item that was written while it ran', async () => {
    const db = database();
    await fill(db);
    const [before, during] = [item(1), item(2)].map((one) => ({ ...one, title: 'Green other' }));
    await upsertItems(db, [before!]);
    const writes: Promise<unknown>[] = [];
    const version = `beside_${db.kind}`;
    await runTraining({
      ...{ db, modelsDir, checkpointsDir: join(modelsDir, 'checkpoints', db.kind), version },
      config: { sizes: [4, 8], blocks: 1 },
      settings: createSettings('fast', [4, 8], { maxEpochs: 1 }),
      ...{ protocol: 'leave-one-out', commit: null, ...OPTIONS },
      onStage: (stage) => {
        if (stage === 'Training') writes.push(upsertItems(db, [during!]));
      },
    });
    expect(await Promise.all(writes)).toEqual([new Set()]);
    const artifact = await loadArtifact(join(modelsDir, version));
    const embedder = await createItemEmbedder(artifact);
    const trained = embedder.embedTrained(artifact.itemIds.keys());
    await publishingOn(database).publish(artifact, { force: true });
    const { rows } = await db.query<{ item_id: string; embedding: string }>(
      `SELECT item_id, embedding FROM ${itemVectorsTable(version)}`,
    );
    const stored = new Map(rows.map((row) => [row.item_id, [...parseVector(row.embedding)]]));
    for (const { itemId, vector } of trained) {
      const wanted = itemId === during!.item_id ? embedder.embedCatalogue(during!)!.vector : vector;
      expect([itemId, stored.get(itemId)]).toEqual([itemId, [...wanted]]);
    }
    const own = trained.find(({ itemId }) => itemId === during!.item_id)!;
    expect(stored.get(during!.item_id)).not.toEqual([...own.vector]);
  });
});
