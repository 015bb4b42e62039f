/**
 * What a training run learns from: interactions and catalogue out of the database, as sequences of
 * internal ids and a feature matrix. Knows nothing of the model.
 */
import type { FeatureSpec, Item, ModalitySpec } from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';
import { buildDataset, type SequenceDataset, type Spill } from '@nestrec/dataset';
import { InsufficientData, InvalidInput } from '@nestrec/errors';
import {
  createFeaturizer,
  encodeItems,
  featureWidth,
  fitTextEncoder,
  itemText,
  type FeatureSource,
  type TextEncoder,
} from '@nestrec/features';
import { streamInteractions, streamItems } from '@nestrec/storage';

const TEXT = 'text';

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
}

export interface TrainingDataOptions {
  /** Width of the fitted text encoder's vectors. */
  readonly textWidth: number;
  readonly seed: number;
  /** Where events go that are too many for memory; open for as long as the data set is read. */
  readonly spill?: Spill;
}

/**
 * Reads everything that is stored. Items that nobody interacted with are left to publishing, which embeds
 * them by their features.
 * @throws InsufficientData when there are no interactions
 */
export async function readTrainingData(
  db: Queryable,
  options: TrainingDataOptions,
): Promise<TrainingData> {
  const span = { fromMs: Infinity, toMs: -Infinity };
  const dataset = await buildDataset(
    watched(streamInteractions(db), span),
    options.spill === undefined ? {} : { spill: options.spill },
  );
  const catalogue = await readItems(db, new Set(dataset.itemIds));
  const sources: FeatureSource[] = dataset.itemIds.map((id) => catalogue.get(id) ?? {});
  const widths = vectorWidths(sources);
  // Imported text vectors take the place of the built-in encoder: there is one text modality.
  const encoder = widths.has(TEXT) ? null : fitEncoder(sources, options);
  const spec = featureSpec(widths, encoder);
  const features = encodeItems(createFeaturizer(spec, encoder), sources);
  const width = featureWidth(spec);
  return {
    dataset,
    spec,
    encoder,
    features,
    featureWidth: width,
    text: textBlock(features, width, spec),
    ...span,
  };
}

/** Passes batches through and notes the times of the first and last event. */
async function* watched<T extends { timestampMs: number }>(
  batches: AsyncIterable<T[]>,
  span: { fromMs: number; toMs: number },
): AsyncGenerator<T[]> {
  let rows = 0;
  for await (const batch of batches) {
    for (const { timestampMs } of batch) {
      span.fromMs = Math.min(span.fromMs, timestampMs);
      span.toMs = Math.max(span.toMs, timestampMs);
    }
    rows += batch.length;
    yield batch;
  }
  if (rows === 0) {
    throw new InsufficientData({
      detail: 'There are no interactions. Import some first: nestrec import events FILE.',
    });
  }
}

async function readItems(db: Queryable, wanted: ReadonlySet<string>): Promise<Map<string, Item>> {
  const items = new Map<string, Item>();
  for await (const batch of streamItems(db)) {
    for (const item of batch) if (wanted.has(item.item_id)) items.set(item.item_id, item);
  }
  return items;
}

/** Null where no item has a text. */
function fitEncoder(
  sources: readonly FeatureSource[],
  { textWidth, seed }: TrainingDataOptions,
): TextEncoder | null {
  const texts = sources.map(itemText);
  if (texts.every((text) => text === '')) return null;
  return fitTextEncoder(texts, { width: Math.min(textWidth, sources.length), seed });
}

/** The modalities that the items have: text first, then imported vectors by name. */
function featureSpec(
  widths: ReadonlyMap<string, number>,
  encoder: TextEncoder | null,
): FeatureSpec {
  const vectors = [...widths].map(([name, width]): ModalitySpec => ({
    name,
    width,
    kind: 'vector',
    normalisation: 'l2',
  }));
  const modalities: ModalitySpec[] =
    encoder === null
      ? vectors
      : [{ name: TEXT, width: encoder.width, kind: 'text', normalisation: 'l2' }, ...vectors];
  const byName = (a: ModalitySpec, b: ModalitySpec) =>
    Number(b.name === TEXT) - Number(a.name === TEXT) || (a.name < b.name ? -1 : 1);
  return { modalities: modalities.sort(byName), missingIndicators: true };
}

function vectorWidths(sources: readonly FeatureSource[]): Map<string, number> {
  const widths = new Map<string, number>();
  for (const { features } of sources) {
    for (const [name, vector] of Object.entries(features ?? {})) {
      const known = widths.get(name);
      if (known !== undefined && known !== vector.length) {
        throw new InvalidInput({
          detail: `Modality "${name}" has vectors of ${known} and of ${vector.length} numbers; wanted one width. Import its vectors anew.`,
        });
      }
      widths.set(name, vector.length);
    }
  }
  return widths;
}

/** The text block of every row: the first modality, where it is text. */
export function textBlock(features: Float32Array, rowWidth: number, { modalities }: FeatureSpec) {
  const first = modalities[0];
  if (first?.name !== TEXT) return null;
  const rows = features.length / rowWidth;
  const vectors = new Float32Array(rows * first.width);
  for (let r = 0; r < rows; r++) {
    vectors.set(features.subarray(r * rowWidth, r * rowWidth + first.width), r * first.width);
  }
  return { vectors, width: first.width };
}
