/**
 * The stages of the demo before it serves. Each looks whether its result stands already and does
 * nothing then, so that a start after a kill goes on where the killed one stood.
 */
import type { Manifest } from '@nestrec/contracts';
import { listArtifacts } from '@nestrec/registry';
import {
  countInteractions,
  countItems,
  getPublished,
  getVersion,
  refreshPopularity,
  registerVersion,
  upsertItems,
} from '@nestrec/storage';
import { createSettings } from '@nestrec/training';
import { gitCommit, runTraining } from '@nestrec/trainer';
import { chooseBackend } from '../backend.js';
import { storeEvents } from '../commands/import.js';
import { publishAndReport } from '../commands/publish.js';
import type { Output } from '../output.js';
import type { Platform } from '../platform.js';
import { showTraining } from '../training-progress.js';
import { generateShop, type SHOP_SIZES, type ShopSize } from './shop.js';

export const DEMO_SIZES = [8, 16, 32, 64];
export const DEMO_SEED = 20_261_123;
const EVENTS_PER_TRANSACTION = 5_000;
const ITEMS_PER_TRANSACTION = 1_000;
const TEXT_WIDTH = 128;

export async function importShop(
  platform: Platform,
  output: Output,
  size: ShopSize,
  signal: AbortSignal,
): Promise<void> {
  const { db } = platform;
  const shop = generateShop(size, DEMO_SEED);
  const stored = await countInteractions(db);
  const complete =
    stored.interactions >= BigInt(shop.events.length) &&
    (await countItems(db)) >= BigInt(shop.items.length);
  if (complete) return;
  for (let at = 0; at < shop.items.length; at += ITEMS_PER_TRANSACTION) {
    await upsertItems(db, shop.items.slice(at, at + ITEMS_PER_TRANSACTION));
  }
  const bar = output.progress('Importing the shop', shop.events.length);
  for (let at = 0; at < shop.events.length; at += EVENTS_PER_TRANSACTION) {
    signal.throwIfAborted();
    await storeEvents(db, shop.events.slice(at, at + EVENTS_PER_TRANSACTION));
    bar.update(Math.min(at + EVENTS_PER_TRANSACTION, shop.events.length));
  }
  await refreshPopularity(db);
  bar.stop();
  output.note(
    `Shop: ${shop.items.length} items, ${size.users} users, ${shop.events.length} events.`,
  );
}

/** The manifest of what is published, which may be a later training than the demo's; else of the demo's own. */
export async function trainDemo(
  platform: Platform,
  output: Output,
  scale: keyof typeof SHOP_SIZES,
  signal: AbortSignal,
): Promise<Manifest> {
  const published = await getPublished(platform.db);
  const served = published && (await getVersion(platform.db, published.version));
  if (served) return served.manifest;
  const version = `demo_${scale}`;
  const known = await getVersion(platform.db, version);
  if (known !== null) return known.manifest;
  const saved = (await listArtifacts(platform.folders.models)).find((a) => a.folder === version);
  if (saved?.manifest) {
    // Killed between saving and registering.
    await registerVersion(platform.db, { version, manifest: saved.manifest, path: saved.path });
    return saved.manifest;
  }
  await chooseBackend({ config: platform.config, output });
  const show = showTraining(output);
  return runTraining({
    db: platform.db,
    modelsDir: platform.folders.models,
    checkpointsDir: platform.folders.checkpoints,
    eventsInMemory: platform.config.eventsInMemory,
    version,
    config: { sizes: DEMO_SIZES, blocks: 1 },
    settings: createSettings('fast', DEMO_SIZES),
    protocol: 'leave-one-out',
    textWidth: TEXT_WIDTH,
    seed: DEMO_SEED,
    commit: gitCommit(),
    onStage: show.onStage,
    onProgress: show.onProgress,
    signal,
    workers: platform.config.trainWorkers,
  });
}

export async function publishDemo(
  platform: Platform,
  output: Output,
  version: string,
): Promise<void> {
  // Whatever was published since then stays: a start takes nothing back.
  if ((await getPublished(platform.db)) !== null) return;
  await publishAndReport(output, platform, version);
}
