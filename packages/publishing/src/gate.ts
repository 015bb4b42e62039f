/**
 * Gathers what the quality gate needs, lets it judge, and writes down what came of it.
 *
 * An artifact brings its own comparison, with the version that was published when it was trained. Where
 * another one is published by now, the caller's `measure` asks the same cases again; without it the
 * candidate is refused, for a comparison with something that nobody is served proves nothing.
 */
import {
  servedBlocks,
  type Evaluation,
  type Manifest,
  type PublishReport,
  type TierVerdict,
} from '@nestrec/contracts';
import type { Database, Queryable } from '@nestrec/database';
import { NestrecError, PublishRefused } from '@nestrec/errors';
import type { Artifact } from '@nestrec/registry';
import type { Logger } from '@nestrec/runtime';
import {
  getVersion,
  newestPublishReport,
  recordPublishReport,
  type ModelVersion,
} from '@nestrec/storage';
import type { DimReport } from './checked-indexes.js';
import { judgeAge, judgeFigures } from './manifest-figures.js';
import { DEFAULT_MARGIN, judgeTiers, notEvaluated, type JudgedTier } from './quality-gate.js';

/**
 * Asks an artifact's held-out cases again, beside the version `against` (null: beside popularity only); null
 * where the database holds none of them.
 */
export type MeasureQuality = (
  artifact: Artifact,
  against: string | null,
) => Promise<Evaluation | null>;

export interface GateOptions {
  readonly artifact: Artifact;
  readonly tiers: readonly JudgedTier[];
  readonly margin: number;
  readonly measure: MeasureQuality | undefined;
  /** How many users the published version was judged by; null: not known. */
  readonly publishedUsers: number | null;
}

export interface GateDecision {
  readonly evaluation: Evaluation | null;
  readonly tiers: readonly TierVerdict[];
  /** Why not; empty: accepted. */
  readonly reasons: readonly string[];
}

/** @param published the manifest of the version that is published now; null: none */
export async function decide(
  options: GateOptions,
  published: Manifest | null,
): Promise<GateDecision> {
  const age = published === null ? null : judgeAge(options.artifact.manifest, published);
  const found = await findEvaluation(options, published?.version ?? null);
  const { evaluation } = found;
  const { tiers, reasons } =
    evaluation === null
      ? judgeUnmeasured(options, published, found)
      : judgeMeasured(options, published, evaluation);
  return { evaluation, tiers, reasons: [...(age === null ? [] : [age]), ...reasons] };
}

function judgeMeasured(
  options: GateOptions,
  published: Manifest | null,
  evaluation: Evaluation,
): Pick<GateDecision, 'tiers' | 'reasons'> {
  const tiers = judgeTiers({
    ...{ evaluation, published: published?.version ?? null },
    publishedUsers: options.publishedUsers,
    ...{ tiers: options.tiers, margin: options.margin },
  });
  const failed = tiers.filter(({ verdict }) => verdict === 'failed');
  return { tiers, reasons: failed.map(({ reason }) => reason) };
}

/**
 * Nothing was measured. A first version replaces nothing, and is taken; a later one only where the figures of its
 * manifest stand for it. The same holds whoever publishes: a caller that cannot measure gets no other verdict.
 */
function judgeUnmeasured(
  { artifact: { manifest }, tiers }: GateOptions,
  published: Manifest | null,
  { why, cure, figuresMaySpeak }: Found,
): Pick<GateDecision, 'tiers' | 'reasons'> {
  const unknown = (reason: string) => notEvaluated(manifest.config.sizes, tiers, reason);
  if (published === null) {
    return { tiers: unknown(`${why}; nothing is published that it would replace`), reasons: [] };
  }
  const figures = figuresMaySpeak ? judgeFigures(manifest, published) : null;
  const alone = `${why}; ${cure}`;
  if (figures === null) return { tiers: unknown(why), reasons: [alone] };
  return {
    tiers: unknown(`${why}; by the figures of the manifests ${figures.reason}`),
    reasons: figures.passed ? [] : [`${figures.reason}; train longer or look at the data`],
  };
}

interface Found {
  readonly evaluation: Evaluation | null;
  /** Why there is none, and what helps; empty where there is one. */
  readonly why: string;
  readonly cure: string;
  /** It never had one: then the figures of its manifest are what there is. */
  readonly figuresMaySpeak: boolean;
}

async function findEvaluation(
  { artifact, measure }: GateOptions,
  published: string | null,
): Promise<Found> {
  const own = artifact.manifest.evaluation ?? null;
  const found = { why: '', cure: '', figuresMaySpeak: own === null };
  if (own !== null && (published === null || own.against === published)) {
    return { ...found, evaluation: own };
  }
  const compared =
    own === null
      ? 'it was never asked its held-out cases'
      : `it was compared with ${own.against ?? 'no published version'}, but ${published} is published now`;
  if (measure === undefined) {
    const cure =
      'have it compared anew by `nestrec publish`, with the server stopped where that holds the database, or train anew, or force it';
    return { ...found, evaluation: null, why: compared, cure };
  }
  try {
    const evaluation = await measure(artifact, published);
    const why = `${compared}, and the database holds none of its held-out cases any more`;
    return { ...found, evaluation, why, cure: 'train anew, or force it' };
  } catch (error) {
    if (!(error instanceof NestrecError)) throw error;
    const why = `it cannot be compared with ${published ?? 'popularity'}: ${error.detail ?? error.message}`;
    const cure = 'repair that, or force it';
    return { evaluation: null, why, cure, figuresMaySpeak: false };
  }
}

export interface PassOptions extends Omit<GateOptions, 'margin' | 'measure' | 'publishedUsers'> {
  readonly db: Database;
  readonly logger: Logger;
  readonly minRecall: number;
  readonly margin?: number;
  readonly measure?: MeasureQuality;
  readonly force?: boolean;
  readonly forcedBy?: string;
}

/** An attempt that may go on; how it ends is written down by one of these. */
export interface GatePass {
  /** In the transaction in which the pointer moves. */
  published(tx: Queryable, indexes: readonly DimReport[]): Promise<PublishReport>;
  refused(reason: string | undefined): Promise<void>;
}

/**
 * Lets the gate judge a version that is to replace `before`.
 * @throws PublishRefused unless it is accepted or forced; the refusal is on record then
 */
export async function passGate(options: PassOptions, before: string | null): Promise<GatePass> {
  const { db, logger, force = false, margin = DEFAULT_MARGIN, measure } = options;
  const { version } = options.artifact.manifest;
  const served = before === null ? null : await getVersion(db, before);
  const publishedUsers = served === null ? null : await usersOf(db, served);
  const asked = { ...options, margin, measure, publishedUsers };
  const decision = await decide(asked, served?.manifest ?? null);
  const { evaluation, tiers, reasons } = decision;
  const { config } = options.artifact.manifest;
  for (const { verdict, reason, dim, exit_blocks } of tiers) {
    if (exit_blocks && dim !== null && servedBlocks(config, dim, exit_blocks) !== exit_blocks) {
      logger.warn(
        { version, dim, exit_blocks, blocks: config.blocks },
        'tiers ask for an exit that the model was not trained to answer at; they are served at full depth',
      );
    }
    if (verdict === 'unknown') logger.warn({ version, reason }, 'the quality gate cannot tell');
  }
  const facts = {
    ...{ version, against: before, margin, min_recall: options.minRecall, tiers: [...tiers] },
    ...{ cases: evaluation?.cases ?? null, users: evaluation?.users ?? null },
  };
  const refused = async (more: readonly string[]) => {
    const ending = { outcome: 'refused' as const, forced_by: null, indexes: [] };
    await recordPublishReport(db, { ...facts, ...ending, reasons: [...reasons, ...more] });
  };
  if (reasons.length > 0 && !force) {
    await refused([]);
    throw new PublishRefused({ detail: `${reasons.join('; ')}. ${CURE}` });
  }
  return {
    published: (tx, indexes) => {
      const forced_by = reasons.length === 0 ? null : (options.forcedBy ?? 'unnamed');
      if (forced_by !== null) logger.warn({ version, forced_by, reasons }, 'published by force');
      return recordPublishReport(tx, {
        ...facts,
        ...{ outcome: 'published', forced_by, reasons: [...reasons] },
        indexes: indexes.map(({ dim, recall, bytes, measured }) => ({
          ...{ dim, plan: measured.plan, recall_at_20: recall, p95_ms: measured.p95Ms, bytes },
        })),
      });
    },
    refused: async (reason) => {
      try {
        await refused(reason === undefined ? [] : [reason]);
      } catch (error) {
        logger.warn({ err: error, version }, 'the refusal could not be written down');
      }
    },
  };
}

/** By the report of its publish, which may have asked again; else by what its training found. */
async function usersOf(db: Queryable, { version, manifest }: ModelVersion): Promise<number | null> {
  const report = await newestPublishReport(db, version, 'published');
  return report?.users ?? manifest.evaluation?.users ?? null;
}

const CURE = 'Train anew or on newer data, look at the data, or force it, which is recorded';
