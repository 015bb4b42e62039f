/**
 * Many items at once in the versions that are served or can be gone back to: judged by the published model
 * before anything is written, then embedded in batches.
 *
 * Plain arithmetic holds the process up, so it is cut into slices of about 20 ms.
 */
import { setImmediate as othersFirst } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Item } from '@nestrec/contracts';
import { sqlState, type Database } from '@nestrec/database';
import { NestrecError } from '@nestrec/errors';
import type { Logger } from '@nestrec/runtime';
import { getStoredItems, type StoredItem } from '@nestrec/storage';
import { embedCatalogueChanges } from './catalogue-changes.js';
import type { ItemEmbedder } from './item-embedder.js';
import { liveVersions, UNDEFINED_TABLE, type EmbedderSource } from './live-items.js';
import {
  addNewVectors,
  ROWS_PER_TRANSACTION,
  upsertVectors,
  type CatalogueVector,
  type VectorRow,
} from './vector-table.js';

/** Connections that one request writes by: placing rows in indexes is work for more than one processor. */
const LANES = 2;
const SLICE_MS = 20;

export interface PreparedItems {
  /** What the published model cannot take, by item id, with why. */
  readonly refused: ReadonlyMap<string, NestrecError>;
  /**
   * Embeds the other items in every live version; the caller has written them to the catalogue by now.
   * Resolves to the versions in which each is recommendable, the published one first.
   * @throws any error of the database; older versions that cannot take an item are logged and left out
   */
  embed(): Promise<ReadonlyMap<string, string[]>>;
}

interface Embedded {
  readonly rows: VectorRow[];
  readonly refused: ReadonlyMap<string, NestrecError>;
}

/** Judges items by the published model; ids are distinct. Writes nothing. */
export async function prepareItems(
  db: Database,
  sent: readonly Item[],
  embedders: EmbedderSource,
  logger: Logger,
): Promise<PreparedItems> {
  const items = sent.map(asStored);
  const published = (await liveVersions(db)).find((live) => live.published);
  const judged =
    published === undefined
      ? null
      : await embedAll(await embedders(published.version, published.path), items);
  const refused = judged?.refused ?? new Map<string, NestrecError>();
  return {
    refused,
    embed: async () => {
      const stored = await getStoredItems(
        db,
        items.map((item) => item.item_id).filter((itemId) => !refused.has(itemId)),
      );
      const accepted = asWritten(items, stored);
      const embeddedIn = new Map(accepted.map((item) => [item.item_id, [] as string[]]));
      // After the items' own commit: a version that is published from now on reads them there.
      const written = new Map<string, VectorRow[]>();
      for (const live of await liveVersions(db)) {
        const isJudged = live.version === published?.version;
        const { version, vectorsVersion } = live;
        try {
          // Versions that share their vectors are written once.
          const shared = written.get(vectorsVersion);
          if (shared !== undefined) {
            for (const { itemId } of shared) embeddedIn.get(itemId)!.push(version);
            continue;
          }
          const embedder = await embedders(version, live.path);
          const { rows, refused: unfit } = isJudged
            ? await embedChanged(embedder, judged!, items, accepted)
            : await embedAll(embedder, accepted);
          warnOfUnfit(unfit, version, logger);
          await writeRows(
            db,
            vectorsVersion,
            rows.map((row) => ({ ...row, writtenAt: stored.get(row.itemId)!.writtenAt })),
          );
          written.set(vectorsVersion, rows);
          for (const { itemId } of rows) embeddedIn.get(itemId)!.push(version);
        } catch (error) {
          if (live.published && sqlState(error) !== UNDEFINED_TABLE) throw error;
          logger.warn({ version, err: error }, 'items not embedded in a version');
        }
      }
      return embeddedIn;
    },
  };
}

/**
 * An item as the catalogue will have it: numbers of vectors as float32, no list of no vectors. So what is judged
 * need not be embedded a second time to be what a later reading gives.
 */
function asStored({ features, ...item }: Item): Item {
  const vectors = Object.entries(features ?? {});
  if (vectors.length === 0) return item;
  const rounded = vectors.map(([name, vector]) => [name, vector.map(Math.fround)] as const);
  return { ...item, features: Object.fromEntries(rounded) };
}

/** The items as the catalogue has them now: what the caller wrote, or somebody after that. Gone ones are left out. */
function asWritten(items: readonly Item[], stored: ReadonlyMap<string, StoredItem>): Item[] {
  return items.flatMap((item) => {
    const now = stored.get(item.item_id)?.item;
    if (now === undefined) return [];
    return [isDeepStrictEqual(now, item) ? item : now];
  });
}

/** The rows of `judged`, made anew for items that are others now. */
async function embedChanged(
  embedder: ItemEmbedder,
  judged: Embedded,
  items: readonly Item[],
  now: readonly Item[],
): Promise<Embedded> {
  const same = new Set<Item>(items);
  const kept = new Set(now.filter((item) => same.has(item)).map((item) => item.item_id));
  const anew = await embedAll(
    embedder,
    now.filter((item) => !same.has(item)),
  );
  const rows = judged.rows.filter(({ itemId }) => kept.has(itemId));
  return { rows: [...rows, ...anew.rows], refused: anew.refused };
}

/** Embeds what the catalogue has and a live version has not, or has in an older form. */
export async function embedCatalogueInLiveVersions(
  db: Database,
  embedders: EmbedderSource,
  logger: Logger,
  onProgress?: (version: string, embedded: number) => void,
): Promise<{ readonly version: string; readonly embedded: number; readonly skipped: number }[]> {
  const done: { version: string; embedded: number; skipped: number }[] = [];
  const written = new Set<string>();
  for (const { version, path, published, vectorsVersion } of await liveVersions(db)) {
    if (written.has(vectorsVersion)) continue;
    try {
      const embedder = await embedders(version, path);
      const changes = await embedCatalogueChanges(db, vectorsVersion, embedder, logger, {
        onProgress: (embedded) => onProgress?.(version, embedded),
      });
      written.add(vectorsVersion);
      done.push({ version, ...changes });
    } catch (error) {
      if (published && sqlState(error) !== UNDEFINED_TABLE) throw error;
      logger.warn({ version, err: error }, 'the catalogue is not embedded in a version');
    }
  }
  return done;
}

async function embedAll(embedder: ItemEmbedder, items: readonly Item[]): Promise<Embedded> {
  const rows: VectorRow[] = [];
  const refused = new Map<string, NestrecError>();
  let sliceStartMs = performance.now();
  for (const item of items) {
    try {
      const row = embedder.embedCatalogue(item);
      if (row !== null) rows.push(row);
    } catch (error) {
      if (!(error instanceof NestrecError)) throw error;
      refused.set(item.item_id, error);
    }
    if (performance.now() - sliceStartMs > SLICE_MS) {
      await othersFirst();
      sliceStartMs = performance.now();
    }
  }
  return { rows, refused };
}

async function writeRows(
  db: Database,
  version: string,
  rows: readonly CatalogueVector[],
): Promise<void> {
  // In one order for all writers, so that none waits for another that waits for it.
  const ordered = [...rows].sort((a, b) => (a.itemId < b.itemId ? -1 : 1));
  const batches: CatalogueVector[][] = [];
  for (let at = 0; at < ordered.length; at += ROWS_PER_TRANSACTION) {
    batches.push(ordered.slice(at, at + ROWS_PER_TRANSACTION));
  }
  const queue = batches.values();
  const lane = async () => {
    for (const batch of queue) {
      await upsertVectors(db, version, await addNewVectors(db, version, batch));
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: LANES }, lane));
  const failed = ended.find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

function warnOfUnfit(
  unfit: ReadonlyMap<string, NestrecError>,
  version: string,
  logger: Logger,
): void {
  const first = unfit.values().next().value;
  if (first === undefined) return;
  logger.warn(
    { version, items: unfit.size, reason: first.message },
    'items not embedded in a version',
  );
}
