/**
 * Gathers what the quality gate needs, lets it judge, and writes down what came of it.
 *
 * An artifact brings its own comparison, with the version that was published when it was trained. Where
 * another one is published by now, the caller's `measure` asks the same cases again; without it the
 * candidate is refused, for a comparison with something that nobody is served proves nothing.
 */
import type { Evaluation, Manifest, PublishReport, TierVerdict } from '@nestrec/contracts';
import type { Database, Queryable } from '@nestrec/database';
import { NestrecError, PublishRefused } from '@nestrec/errors';
import type { Artifact } from '@nestrec/registry';
import type { Logger } from '@nestrec/runtime';
import { getVersion, recordPublishReport } from '@nestrec/storage';
import type { DimReport } from './checked-indexes.js';
import { judgeAge, judgeFigures } from './manifest-figures.js';
import type { TierNeed } from './prefix-indexes.js';
import { DEFAULT_MARGIN, judgeTiers } from './quality-gate.js';

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
  readonly tiers: readonly Pick<TierNeed, 'max_dim'>[];
  readonly margin: number;
  readonly measure: MeasureQuality | undefined;
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
  const { manifest } = options.artifact;
  const age = published === null ? null : judgeAge(manifest, published);
  const found = await findEvaluation(options, published?.version ?? null);
  const { evaluation, problem } = found;
  if (evaluation === null) {
    const figures = problem ?? (published === null ? null : judgeFigures(manifest, published));
    const reasons = [age, figures].filter((reason) => reason !== null);
    return { evaluation, tiers: [], reasons };
  }
  const tiers = judgeTiers({
    ...{ evaluation, published: published?.version ?? null },
    ...{ tierDims: options.tiers.map(({ max_dim }) => max_dim), margin: options.margin },
  });
  const failed = tiers.filter(({ verdict }) => verdict === 'failed').map(({ reason }) => reason);
  return { evaluation, tiers, reasons: [...(age === null ? [] : [age]), ...failed] };
}

interface Found {
  readonly evaluation: Evaluation | null;
  /** Why there is none although there ought to be; null: an artifact that never had one. */
  readonly problem: string | null;
}

async function findEvaluation(
  { artifact, measure }: GateOptions,
  published: string | null,
): Promise<Found> {
  const own = artifact.manifest.evaluation ?? null;
  if (own !== null && (published === null || own.against === published)) {
    return { evaluation: own, problem: null };
  }
  const compared =
    own === null
      ? 'it was never asked its held-out cases'
      : `it was compared with ${own.against ?? 'no published version'}, but ${published} is published now`;
  if (measure === undefined) {
    const problem = `${compared}; have it compared anew by \`nestrec publish\`, with the server stopped where that holds the database, or train anew, or force it`;
    return { evaluation: null, problem: own === null ? null : problem };
  }
  try {
    const evaluation = await measure(artifact, published);
    const problem = `${compared}, and the database holds none of its held-out cases any more; train anew, or force it`;
    return { evaluation, problem: own === null ? null : problem };
  } catch (error) {
    if (!(error instanceof NestrecError)) throw error;
    const why = error.detail ?? error.message;
    return {
      evaluation: null,
      problem: `it cannot be compared with ${published ?? 'popularity'}: ${why}; repair that, or force it`,
    };
  }
}

export interface PassOptions extends Omit<GateOptions, 'margin' | 'measure'> {
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
  const decision = await decide({ ...options, margin, measure }, served?.manifest ?? null);
  const { evaluation, tiers, reasons } = decision;
  for (const { verdict, reason } of tiers) {
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

const CURE = 'Train anew or on newer data, look at the data, or force it, which is recorded';
