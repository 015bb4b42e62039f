/**
 * The published model on a candidate's held-out cases: the same questions, the same items to choose among,
 * the same masks. Its item vectors are those that are served, so that new items stand there by their
 * features and changed ones as they changed.
 */
import type { Manifest, QualityRow } from '@nestrec/contracts';
import { parseVector, type Queryable } from '@nestrec/database';
import type { EvaluationCases } from '@nestrec/dataset';
import { ModelNotFound } from '@nestrec/errors';
import { loadArtifact } from '@nestrec/registry';
import { getVersion, itemVectorsTable } from '@nestrec/storage';
import { rankAmongServed, trainingSettingsSchema, type PublishedRanks } from '@nestrec/training';

const ITEMS_PER_QUERY = 2_000;
const DEFAULT_MAX_LENGTH = 50;

export interface AskedCases {
  readonly cases: EvaluationCases;
  /** Outer ids of the candidate's items: internal id i is `itemIds[i - 1]`. */
  readonly itemIds: readonly string[];
  readonly protocol: QualityRow['protocol'];
}

/** @throws ModelNotFound, InputNotFound, InvalidArtifact where the published model cannot be read */
export async function rankPublished(
  db: Queryable,
  version: string,
  { cases, itemIds, protocol }: AskedCases,
): Promise<PublishedRanks> {
  const known = await getVersion(db, version);
  if (known === null) throw new ModelNotFound({ detail: `version ${version} is not registered` });
  const { manifest, parameters } = await loadArtifact(known.path);
  const width = manifest.config.sizes.at(-1)!;
  const ranks = rankAmongServed(
    {
      config: manifest.config,
      parameters,
      ...(await readServedVectors(db, known.vectorsVersion, itemIds, width)),
      maxLength: maxLengthOf(manifest),
    },
    cases,
    itemIds.length,
  );
  const unseen = unseenCases(manifest, protocol, cases);
  return { version, sizes: manifest.config.sizes, ...ranks, unseen };
}

/** Newest events that a model is shown when it is measured: as many as it was trained on. */
export function maxLengthOf({ training }: Manifest): number {
  // By itself: beside the settings a manifest says how the training went.
  const { maxLength } = trainingSettingsSchema.shape;
  return maxLength.safeParse(training['maxLength']).data ?? DEFAULT_MAX_LENGTH;
}

/** Vectors of those items that the version holds, removed ones included: the candidate has them as well. */
async function readServedVectors(
  db: Queryable,
  vectorsVersion: string,
  itemIds: readonly string[],
  width: number,
): Promise<{ ids: Int32Array; vectors: Float32Array }> {
  const ids = new Int32Array(itemIds.length);
  const vectors = new Float32Array(itemIds.length * width);
  let count = 0;
  for (let from = 0; from < itemIds.length; from += ITEMS_PER_QUERY) {
    const asked = itemIds.slice(from, from + ITEMS_PER_QUERY);
    const { rows } = await db.query<{ item_id: string; embedding: string }>(
      `SELECT item_id, embedding FROM ${itemVectorsTable(vectorsVersion)} WHERE item_id = ANY($1)`,
      [asked],
    );
    const found = new Map(rows.map((row) => [row.item_id, row.embedding]));
    asked.forEach((id, i) => {
      const text = found.get(id);
      if (text === undefined) return;
      vectors.set(parseVector(text), count * width);
      ids[count++] = from + i + 1;
    });
  }
  return { ids: ids.subarray(0, count), vectors: vectors.subarray(0, count * width) };
}

/**
 * Cases whose target the published model was not trained on. With leave-one-out on both sides that is every
 * case: a user's newest event was held out then, or came later. Elsewhere the time of the event decides;
 * a comparison on what one of the two has learnt by heart would favour it.
 */
function unseenCases(
  published: Manifest,
  protocol: QualityRow['protocol'],
  { target, times }: EvaluationCases,
): Int32Array {
  const all = Int32Array.from(target.keys());
  const theirs = published.evaluation?.protocol ?? published.quality[0]?.protocol;
  if (protocol === 'leave-one-out' && theirs !== 'temporal') return all;
  const cut = theirs === 'temporal' ? published.evaluation?.validationFrom : null;
  if (cut) return all.filter((c) => times![c]! >= Date.parse(cut));
  const { to } = published.data;
  return to === null ? all : all.filter((c) => times![c]! > Date.parse(to));
}
