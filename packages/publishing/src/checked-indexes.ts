/**
 * Builds the indexes that the tiers' plans need, and tries each plan as it will serve: it has to find
 * enough of the exact answer, with as little work as that takes.
 */
import type { Database, Queryable } from '@nestrec/database';
import { PublishRefused } from '@nestrec/errors';
import type { Logger } from '@nestrec/runtime';
import {
  boundSearch,
  indexName,
  indexSearch,
  itemVectorsPrefix,
  itemVectorsTable,
  type IndexForm,
  type IndexSearch,
  type MeasuredPlan,
  type RetrievalFacts,
  type Statement,
  type StoredIndex,
  type VectorSearch,
} from '@nestrec/storage';
import {
  planOptions,
  PREFIX_WALKS,
  WIDEST_WALK,
  type PlanOption,
  type ShortlistIndex,
  type Walk,
} from './plan-options.js';
import { buildIndex, dropIndex, type ServedSize } from './prefix-indexes.js';
import {
  exactResult,
  prepareTrial,
  RECALL_AT,
  tryPlan,
  type TrialQueries,
  type TrialResult,
} from './recall.js';

export interface RecallGate {
  /** Least mean recall@20 against the exact scan. */
  readonly minRecall: number;
  /** Query vectors of D coordinates. */
  readonly queries: readonly Float32Array[];
}

/** What one served size got. */
export interface DimReport {
  readonly dim: number;
  /** Recall@20 of the plan on the sampled queries, as served. */
  readonly recall: number;
  /** Bytes of its index on disk. */
  readonly bytes: number;
  readonly measured: MeasuredPlan;
}

export interface IndexingOptions {
  readonly version: string;
  /** The model's nested sizes. */
  readonly sizes: readonly number[];
  readonly served: readonly ServedSize[];
  readonly shortlist?: ShortlistIndex | undefined;
  readonly gate: RecallGate;
  /** Whether the table has the norms of prefixes. */
  readonly norms: boolean;
  /** Indexes that stand already, from earlier publishes of those who use the table: never replaced, never dropped. */
  readonly standing: readonly StoredIndex[];
  /** Plans that answers are found by now: what one that finds too little gives way to. Empty: it is refused. */
  readonly inForce: readonly MeasuredPlan[];
  /** Whether a plan is measured and not judged, for it stands already. */
  readonly unjudged: (plan: Pick<MeasuredPlan, 'dim' | 'plan' | 'index'>) => boolean;
  /** Whether the version is served: then nothing is refused, what serves it stays. */
  readonly isServed: boolean;
  /** Whether items are written to the table while it is indexed: it was served before. */
  readonly live: boolean;
  readonly logger: Logger;
  readonly onIndex?: (done: number) => void;
}

/** How much a plan should find before a wider walk is not tried; less is accepted where the gate says so. */
const WANTED_RECALL = 0.95;

/** How much longer than the longest item an item may become before `reduced_l2` takes it for shorter. */
const NORM_MARGIN = 1.05;

export interface CheckedIndexes {
  readonly facts: RetrievalFacts;
  readonly reports: readonly DimReport[];
  /** What the operator has to know: which plans were not taken, and what serves instead. */
  readonly warnings: readonly string[];
}

/**
 * A plan per served size, each with at least the recall asked for, or the one that stood before.
 * @throws PublishRefused when even the best-connected index finds too little, and the version is not served
 */
export async function buildCheckedIndexes(
  db: Database,
  options: IndexingOptions,
): Promise<CheckedIndexes> {
  const indexes = new Map<string, StoredIndex>();
  const plans: MeasuredPlan[] = [];
  const warnings: string[] = [];
  for (const [nth, size] of options.served.entries()) {
    const plan = await serveSize(db, options, size, indexes, warnings);
    // Two wishes at one size may end with the one plan that stands.
    if (!plans.some((other) => isSamePlan(other, plan))) plans.push(plan);
    options.onIndex?.(nth + 1);
  }
  const ascending = [...indexes.values()].sort((a, b) => a.dim - b.dim);
  return {
    facts: { indexes: ascending, plans, norms: options.norms },
    reports: plans.map((measured) => ({
      ...{ dim: measured.dim, recall: measured.recallAt20, bytes: measured.bytes, measured },
    })),
    warnings,
  };
}

type PlanKey = Pick<MeasuredPlan, 'dim' | 'plan' | 'index'>;

export const isSamePlan = (a: PlanKey, b: PlanKey) =>
  a.dim === b.dim && a.plan === b.plan && a.index === b.index;

async function serveSize(
  db: Database,
  options: IndexingOptions,
  size: ServedSize,
  indexes: Map<string, StoredIndex>,
  warnings: string[],
): Promise<MeasuredPlan> {
  const { version, sizes, gate, logger } = options;
  const target = { table: itemVectorsTable(version), fullDim: sizes.at(-1)! };
  const trial = await prepareTrial(db, target, size.dim, gate.queries);
  const choices = planOptions(sizes, size, options.shortlist);
  for (const [nth, option] of choices.entries()) {
    if (option.form === null || (option.plan === 'bound' && !options.norms)) {
      return measuredPlan(size.dim, 'exact', null, null, exactResult(trial));
    }
    const wished = { dim: size.dim, plan: option.plan, index: indexName(version, option.form) };
    const least = options.unjudged(wished) ? 0 : gate.minRecall;
    const found = await buildUntilGood(db, options, option, { trial, indexes, least });
    const { index, walk, result } = found;
    const measured = measuredPlan(size.dim, option.plan, index, walk, result);
    if (result.recallAt20 >= least) {
      indexes.set(index.name, index);
      logger.info({ version, ...measured }, 'a plan serves a size');
      return measured;
    }
    if (!known(options, indexes, index)) await dropIndex(db, index.name);
    if (nth < choices.length - 1) {
      logger.warn({ version, ...measured }, 'the plan finds too little; the next is tried');
      continue;
    }
    if (!options.isServed) throw tooLittle(version, measured, least);
    const stays = await keepOld(db, options, size, trial, indexes);
    warnings.push(notTaken(measured, least, stays));
    logger.warn({ version, ...measured, stays: stays.plan }, warnings.at(-1));
    return stays;
  }
  throw new Error('unreachable: the last option is judged');
}

/** What serves the size now, measured again; the exact scan where nothing but that does. */
async function keepOld(
  db: Database,
  options: IndexingOptions,
  { dim }: ServedSize,
  trial: TrialQueries,
  indexes: Map<string, StoredIndex>,
): Promise<MeasuredPlan> {
  const { standing, inForce } = options;
  const [best] = inForce
    .filter((plan) => plan.dim === dim && standing.some(({ name }) => name === plan.index))
    .sort((a, b) => b.recallAt20 - a.recallAt20);
  const form =
    best === undefined
      ? // From before plans were kept: an index serves its own size.
        standing.find((index) => inForce.length === 0 && index.dim === dim && index.kind !== 'bit')
      : standing.find(({ name }) => name === best.index);
  if (form === undefined) return measuredPlan(dim, 'exact', null, null, exactResult(trial));
  const walks =
    best === undefined
      ? PREFIX_WALKS
      : [{ shortlist: best.shortlist, efSearch: best.efSearch ?? WIDEST_WALK }];
  const option = { plan: best?.plan ?? 'prefix', form, builds: [form], walks } as const;
  const { index, walk, result } = await buildUntilGood(db, options, option, {
    ...{ trial, indexes, least: 0 },
  });
  indexes.set(index.name, index);
  return measuredPlan(dim, option.plan, index, walk, result);
}

const notTaken = (tried: MeasuredPlan, wanted: number, stays: MeasuredPlan) =>
  `at ${tried.dim} dimensions plan ${tried.plan} finds ${tried.recallAt20.toFixed(3)} of the exact top ` +
  `${RECALL_AT}, wanted ${wanted}: ` +
  (stays.index === null
    ? 'the exact scan serves them'
    : `plan ${stays.plan} stays, which finds ${stays.recallAt20.toFixed(3)}`) +
  '; to take it, ask for less recall (--min-recall)';

const known = (
  { standing }: IndexingOptions,
  indexes: ReadonlyMap<string, StoredIndex>,
  { name }: StoredIndex,
) => indexes.has(name) || standing.some((index) => index.name === name);

const tooLittle = (version: string, { dim, plan, recallAt20 }: MeasuredPlan, wanted: number) =>
  new PublishRefused({
    detail:
      `the index of ${version} at ${dim} dimensions (plan ${plan}) finds ${recallAt20.toFixed(3)} of the ` +
      `exact top ${RECALL_AT}, wanted ${wanted}; to accept it, ask for less recall (--min-recall)`,
  });

interface Outcome {
  readonly index: StoredIndex;
  readonly walk: Walk;
  readonly result: TrialResult;
}

interface Trial {
  readonly trial: TrialQueries;
  /** Taken so far. */
  readonly indexes: ReadonlyMap<string, StoredIndex>;
  /** Least recall that is good enough. */
  readonly least: number;
}

/** Wider walks first, for they cost no build; then the next build. Ends with the best there is. */
async function buildUntilGood(
  db: Database,
  { version, sizes, logger, live, standing: earlier }: IndexingOptions,
  option: PlanOption,
  { trial, indexes, least }: Trial,
): Promise<Outcome> {
  const fullDim = sizes.at(-1)!;
  const standing =
    indexes.get(indexName(version, option.form!)) ??
    earlier.find(({ name }) => name === indexName(version, option.form!));
  const form = standing ?? (await completeForm(db, version, option.form!, fullDim));
  let best: Outcome | null = null;
  for (const [rung, settings] of option.builds.entries()) {
    const how = { replace: rung > 0, live };
    const index = standing ?? (await buildIndex(db, version, form, fullDim, settings, how));
    for (const walk of option.walks) {
      const statementOf = statementFor(option, form, walk, sizes);
      const result = await tryPlan(db, trial, statementOf);
      best = { index, walk, result };
      if (result.recallAt20 >= Math.max(least, WANTED_RECALL)) return best;
    }
    // One that stands serves other sizes, or a published version: it is not replaced under them.
    if (best!.result.recallAt20 >= least || standing !== undefined) return best!;
    logger.warn(
      { version, dim: form.dim, recall: best!.result.recallAt20, ...settings },
      'the index finds too little',
    );
  }
  return best!;
}

function statementFor(
  { plan }: PlanOption,
  form: IndexForm,
  { shortlist, efSearch }: Walk,
  sizes: readonly number[],
): (search: VectorSearch) => Statement {
  const refuse: IndexSearch['refuse'] = plan === 'prefix' ? 'index' : 'list';
  return (search) => {
    const by = { form, efSearch, refuse, shortlist: shortlist ?? search.limit };
    return plan === 'bound'
      ? boundSearch(search, { by, dim: form.dim, sizes })
      : indexSearch(search, by);
  };
}

/** With the length that `reduced_l2` needs. */
async function completeForm(
  db: Queryable,
  version: string,
  form: Omit<IndexForm, 'maxNorm'>,
  fullDim: number,
): Promise<IndexForm> {
  if (form.metric !== 'reduced_l2') return form;
  const { rows } = await db.query<{ norm: number | null }>(
    `SELECT max(vector_norm(${itemVectorsPrefix(form.dim, fullDim)})) AS norm
     FROM ${itemVectorsTable(version)} v`,
  );
  return { ...form, maxNorm: Number(((rows[0]?.norm ?? 1) * NORM_MARGIN).toPrecision(6)) };
}

function measuredPlan(
  dim: number,
  plan: MeasuredPlan['plan'],
  index: StoredIndex | null,
  walk: Walk | null,
  result: TrialResult,
): MeasuredPlan {
  return {
    ...{ dim, plan, index: index?.name ?? null, ...result, bytes: index?.bytes ?? 0 },
    shortlist: walk?.shortlist ?? null,
    efSearch: walk?.efSearch ?? null,
  };
}
