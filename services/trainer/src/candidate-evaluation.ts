/**
 * What the quality gate goes by: a candidate's test cases beside popularity and the published model, right
 * after training, or later for a candidate that was compared with another version than the one published by
 * then. Needs a TensorFlow.js backend.
 */
import type { Evaluation } from '@nestrec/contracts';
import type { Database, Queryable } from '@nestrec/database';
import {
  buildDataset,
  Spill,
  type DatasetRow,
  type SpillOptions,
  type Split,
} from '@nestrec/dataset';
import { InsufficientData, isError, NestrecError } from '@nestrec/errors';
import { fitPopularity } from '@nestrec/evaluation';
import { createRandom } from '@nestrec/random';
import type { Artifact } from '@nestrec/registry';
import { getPublished, streamInteractions } from '@nestrec/storage';
import {
  createTrainedModel,
  rankPart,
  summariseEvaluation,
  type ScorerRanks,
} from '@nestrec/training';
import { cutsOf, protocolOf } from './manifest-split.js';
import { maxLengthOf, rankPublished } from './published-ranks.js';
import { splitByProtocol } from './split-by-protocol.js';

export interface CandidateRanks {
  readonly split: Split;
  readonly itemIds: readonly string[];
  /** Of the test cases: the candidate's and popularity's at least. */
  readonly testRanks: readonly ScorerRanks[];
  readonly seed: number;
}

/**
 * Compares a fresh candidate with whatever is published now. A published model that cannot be read is no
 * reason to lose a training: `onProblem` is told, and publishing will look again.
 */
export async function evaluateCandidate(
  db: Queryable,
  candidate: CandidateRanks,
  onProblem: (reason: string) => void,
): Promise<Evaluation | undefined> {
  const against = (await getPublished(db))?.version ?? null;
  try {
    return (await summarise(db, candidate, against)) ?? undefined;
  } catch (error) {
    if (!(error instanceof NestrecError) || against === null) throw error;
    onProblem(`The published ${against} cannot be compared: ${error.detail ?? error.message}`);
    return (await summarise(db, candidate, null)) ?? undefined;
  }
}

/**
 * Asks a finished candidate again, and `against` beside it, on what was held out from its training: its
 * cases are read from the database anew, for an artifact keeps nothing of any user.
 * @returns null where the database holds no such case (any more)
 * @throws ModelNotFound, InputNotFound, InvalidArtifact where `against` cannot be read
 */
export async function measureCandidate(
  db: Database,
  artifact: Artifact,
  against: string | null,
  spillOptions: SpillOptions,
): Promise<Evaluation | null> {
  const spill = new Spill(spillOptions);
  try {
    const split = await readSplit(db, artifact, spill);
    if (split === null) return null;
    const { manifest, itemIds } = artifact;
    const { config } = manifest;
    const model = createTrainedModel(config, artifact.parameters, artifact.features);
    try {
      const input = {
        ...{ split, numItems: config.numItems, model, text: null },
        maxLength: maxLengthOf(manifest),
      };
      const popularity = fitPopularity(split.train, config.numItems);
      const testRanks = rankPart(input, 'test', [popularity]);
      return await summarise(db, { split, itemIds, testRanks, seed: manifest.seed }, against);
    } finally {
      model.dispose();
    }
  } finally {
    spill.close();
  }
}

async function summarise(
  db: Queryable,
  { split, itemIds, testRanks, seed }: CandidateRanks,
  against: string | null,
): Promise<Evaluation | null> {
  const cases = split.cases('test');
  const { protocol } = split;
  const published =
    against === null ? null : await rankPublished(db, against, { cases, itemIds, protocol });
  return summariseEvaluation({
    ...{ split: split.report, cases, ranks: testRanks, published },
    random: createRandom(seed).fork('evaluation'),
  });
}

/** The candidate's own split of the events that it was made of; null where no case is left. */
async function readSplit(
  db: Database,
  { manifest, itemIds }: Artifact,
  spill: Spill,
): Promise<Split | null> {
  const known = new Set(itemIds);
  const [from, to] = [manifest.data.from, manifest.data.to].map((time) =>
    time === null ? null : Date.parse(time),
  );
  const isOurs = ({ itemId, timestampMs }: DatasetRow) =>
    known.has(itemId) && timestampMs >= (from ?? -Infinity) && timestampMs <= (to ?? Infinity);
  async function* rows(): AsyncGenerator<DatasetRow[]> {
    for await (const batch of streamInteractions(db)) {
      const ours = batch.filter(isOurs);
      if (ours.length > 0) yield ours;
    }
  }
  try {
    const dataset = await buildDataset(rows(), { catalogue: itemIds, spill });
    const split = splitByProtocol(protocolOf(manifest), dataset, cutsOf(manifest));
    return split.report.testCases === 0 ? null : split;
  } catch (error) {
    if (isError(error, InsufficientData)) return null;
    throw error;
  }
}
