/**
 * What a training run learns from: interactions and catalogue out of the database, as sequences of
 * internal ids and a feature matrix. Knows nothing of the model but the version that it may go on with.
 */
import type { ErasureProof, FeatureSpec, Item } from '@nestrec/contracts';
import type { Database, Queryable } from '@nestrec/database';
import { buildDataset, type SequenceDataset, type Spill } from '@nestrec/dataset';
import { InsufficientData } from '@nestrec/errors';
import { featureWidth, type TextEncoder } from '@nestrec/features';
import type { Artifact } from '@nestrec/registry';
import {
  catalogueAsOf as readCatalogueTime,
  newestEventMs,
  readErasureProof,
  readInSnapshot,
  streamInteractions,
  streamItems,
  untracedItems,
  type Interaction,
} from '@nestrec/storage';
import { cappedByUser } from './capped-events.js';
import { featuresOfBase, newFeatures, textBlock, type FeatureOptions } from './item-features.js';
import { DEFAULT_MAX_EVENTS_PER_USER, type TrainingWindow } from './training-window.js';

export interface TrainingData {
  readonly dataset: SequenceDataset;
  readonly spec: FeatureSpec;
  readonly encoder: TextEncoder | null;
  /** N x F, row r from item `dataset.itemIds[r]`. */
  readonly features: Float32Array;
  readonly featureWidth: number;
  /** Text block alone, N x width, for the text-cosine baseline; null without texts. */
  readonly text: { readonly vectors: Float32Array; readonly width: number } | null;
  /** Epoch milliseconds of the oldest and newest event. */
  readonly fromMs: number;
  readonly toMs: number;
  /** What was asked for, resolved. */
  readonly sinceMs: number | null;
  /** 0 = no cap. */
  readonly maxEventsPerUser: number;
  /** Events left out by the cap. */
  readonly cappedEvents: number;
  /** Events left out because a frozen item side does not know their item; null where it is not frozen. */
  readonly unknownItemEvents: number | null;
  readonly erasures: ErasureProof;
  /** The features have every item that was written before this. */
  readonly catalogueAsOf: string;
  /** Modalities of the catalogue that the version to go on with does not have. */
  readonly ignoredModalities: readonly string[];
}

export interface TrainingDataOptions extends FeatureOptions {
  /** Where events go that are too many for memory; open for as long as the data set is read. */
  readonly spill?: Spill;
  readonly window?: TrainingWindow | undefined;
  /** The version to go on with: its items come first, its feature specification and encoder are kept. */
  readonly base?: Artifact | undefined;
  /** Exactly the items of `base`, with the features that it was trained with. */
  readonly frozenItems?: boolean | undefined;
}

/**
 * Reads what the window holds, from one snapshot of the database: what is stored or erased meanwhile is either
 * wholly in it or not at all. Items that nobody interacted with are left to publishing, which embeds them by
 * their features.
 * @throws InsufficientData when there are no interactions; InvalidInput for vectors that do not fit together
 */
export async function readTrainingData(
  db: Database,
  options: TrainingDataOptions,
): Promise<TrainingData> {
  const { base, frozenItems = false } = options;
  const catalogueAsOf =
    base && frozenItems
      ? (base.manifest.data.catalogueAsOf ?? base.manifest.createdAt)
      : await readCatalogueTime(db);
  // Nothing is computed in there: an idle transaction would be ended by the server.
  const { catalogue, ...read } = await readInSnapshot(db, (tx) => readSnapshot(tx, options));
  const { itemIds } = read.dataset;
  const sources = itemIds.map((id) => catalogue.get(id) ?? {});
  const ignored: string[] = [];
  const made =
    base === undefined
      ? newFeatures(sources, options)
      : frozenItems
        ? { spec: base.manifest.features, encoder: base.encoder, features: base.features }
        : featuresOfBase(sources, itemIds, base, (modality) => ignored.push(modality));
  const width = featureWidth(made.spec);
  return {
    ...read,
    ...made,
    featureWidth: width,
    text: textBlock(made.features, width, made.spec),
    ...{ ignoredModalities: ignored, catalogueAsOf },
  };
}

async function readSnapshot(tx: Queryable, options: TrainingDataOptions) {
  const { window = {}, base, frozenItems = false } = options;
  const sinceMs = await firstTime(tx, window);
  const maxEventsPerUser = window.maxEventsPerUser ?? DEFAULT_MAX_EVENTS_PER_USER;
  const seen = { fromMs: Infinity, toMs: -Infinity, cappedEvents: 0, unknownItemEvents: 0 };
  const known = base && frozenItems ? new Set(base.itemIds) : null;
  const rows = cappedByUser(
    watched(streamInteractions(tx, sinceMs === null ? {} : { fromMs: sinceMs }), known, seen),
    maxEventsPerUser,
    (count) => (seen.cappedEvents += count),
  );
  const dataset = await buildDataset(rows, {
    ...(options.spill === undefined ? {} : { spill: options.spill }),
    ...(base === undefined ? {} : { catalogue: await keptItems(tx, base, known, sinceMs) }),
  });
  const catalogue = known ? new Map<string, Item>() : await readItems(tx, new Set(dataset.itemIds));
  return {
    ...{ dataset, catalogue, sinceMs, maxEventsPerUser, ...seen },
    unknownItemEvents: known === null ? null : seen.unknownItemEvents,
    erasures: await readErasureProof(tx),
  };
}

/** Where the window begins; null: with the first event. */
async function firstTime(tx: Queryable, window: TrainingWindow): Promise<number | null> {
  const { sinceMs = -Infinity, durationMs } = window;
  const newest = durationMs === undefined ? null : await newestEventMs(tx);
  // With the newest event, not with now: the same data are the same window, whenever it is read.
  const from = newest === null ? sinceMs : Math.max(sinceMs, newest - durationMs!);
  return Number.isFinite(from) ? from : null;
}

/** The items of `base` that stay: all where they are frozen, else those that something still speaks of. */
async function keptItems(
  tx: Queryable,
  base: Artifact,
  frozen: ReadonlySet<string> | null,
  sinceMs: number | null,
): Promise<readonly string[]> {
  if (frozen !== null) return base.itemIds;
  const gone = await untracedItems(tx, base.itemIds, sinceMs);
  return base.itemIds.filter((id) => !gone.has(id));
}

interface Seen {
  fromMs: number;
  toMs: number;
  unknownItemEvents: number;
}

/** Passes on what is known (null: everything) and notes the times of the first and last event of it. */
async function* watched(
  batches: AsyncIterable<Interaction[]>,
  known: ReadonlySet<string> | null,
  seen: Seen,
): AsyncGenerator<Interaction[]> {
  let rows = 0;
  for await (const batch of batches) {
    const passed = known === null ? batch : batch.filter((row) => known.has(row.itemId));
    for (const { timestampMs } of passed) {
      seen.fromMs = Math.min(seen.fromMs, timestampMs);
      seen.toMs = Math.max(seen.toMs, timestampMs);
    }
    rows += passed.length;
    seen.unknownItemEvents += batch.length - passed.length;
    if (passed.length > 0) yield passed;
  }
  if (rows > 0) return;
  const left = seen.unknownItemEvents;
  throw new InsufficientData({
    detail:
      left > 0
        ? `All ${left} interactions of the window are of items that the model does not know: train with --warm-start.`
        : 'There are no interactions, or none in the window. Import some first (nestrec import events FILE), or widen it.',
  });
}

async function readItems(db: Queryable, wanted: ReadonlySet<string>): Promise<Map<string, Item>> {
  const items = new Map<string, Item>();
  for await (const batch of streamItems(db)) {
    for (const item of batch) if (wanted.has(item.item_id)) items.set(item.item_id, item);
  }
  return items;
}
