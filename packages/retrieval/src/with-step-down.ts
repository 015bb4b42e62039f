/**
 * A recommender that serves a smaller size where it is told that there is overload, and says so.
 *
 * Smaller is cheaper only where it is found in as cheap a way: a size at which a plan would end in reading every
 * item, or was measured to take longer, is served by the planner's own choice, or passed over.
 */
import type { RecommendationsAnswer, TierPlan } from '@nestrec/contracts';
import { resolveDim } from './dimensions.js';
import { EXACT_MAX_ROWS, measuredPlanOf, planSearch } from './plans/planner.js';
import type { PublishedModel, PublishedModels } from './published-models.js';
import type { ListRequest, Recommender } from './recommender.js';

export function withStepDown(
  recommender: Recommender,
  models: Pick<PublishedModels, 'current'>,
): Recommender {
  const serve = async <R extends ListRequest>(
    request: R,
    similar: boolean,
    ask: (request: R) => Promise<RecommendationsAnswer>,
  ): Promise<RecommendationsAnswer> => {
    const steps = request.stepsDown ?? 0;
    if (steps === 0) return ask(request);
    const model = await models.current();
    const entitled = resolveDim(model.cell.sizes, request);
    const wish = request.plan ?? 'auto';
    const { dim, plan } = stepDown(
      model,
      { ...request, dim: entitled, plan: wish, similar },
      steps,
    );
    if (dim === entitled) return ask(request);
    const answer = await ask({ ...request, dim, plan });
    const degraded = {
      reason: 'overload' as const,
      dim: entitled,
      ...(plan === wish ? {} : { plan: wish }),
    };
    return { ...answer, served_by: { ...answer.served_by, degraded } };
  };
  return {
    ...recommender,
    recommendForUser: (request) =>
      serve(request, false, (one) => recommender.recommendForUser(one)),
    recommendForSession: (request) =>
      serve(request, false, (one) => recommender.recommendForSession(one)),
    similarItems: (request) => serve(request, true, (one) => recommender.similarItems(one)),
  };
}

type Model = Pick<PublishedModel, 'rows' | 'facts'> & {
  readonly cell: Pick<PublishedModel['cell'], 'sizes'>;
};

export interface Step {
  readonly dim: number;
  readonly plan: TierPlan;
}

interface Search extends Step {
  readonly k: number;
  readonly similar: boolean;
}

/**
 * The size so many steps below the one entitled to and the plan to ask for there; the smallest where there are
 * not so many, and what there was where none is cheaper.
 */
export function stepDown(model: Model, from: Search, steps: number): Step {
  const now = costOf(model, from);
  const cheaper = model.cell.sizes
    .filter((size) => size < from.dim)
    .flatMap((dim) => {
      const plans = [...new Set<TierPlan>([from.plan, 'auto'])];
      const plan = plans.find((one) => !isDearer(costOf(model, { ...from, dim, plan: one }), now));
      return plan === undefined ? [] : [{ dim, plan }];
    });
  return cheaper[Math.max(0, cheaper.length - steps)] ?? { dim: from.dim, plan: from.plan };
}

interface Cost {
  /** Every item is read, and there are many. */
  readonly scans: boolean;
  /** As measured when the version was published; null: nobody measured this plan at this size. */
  readonly p50Ms: number | null;
}

function costOf({ cell, rows, facts }: Model, { dim, k, plan, similar }: Search): Cost {
  const restriction = { exclusion: { kind: 'none' } } as const;
  const [first] = planSearch(
    { sizes: cell.sizes, rows, facts },
    { dim, k, plan, similar, restriction },
  );
  const measured = measuredPlanOf(facts, dim, plan);
  return {
    scans: first.plan === 'exact' && rows > EXACT_MAX_ROWS,
    p50Ms: measured?.plan === first.plan ? measured.p50Ms : null,
  };
}

/** Times of the same search differ by as much from one minute to the next. */
const DEARER = 1.25;

function isDearer(there: Cost, now: Cost): boolean {
  if (there.scans !== now.scans) return there.scans;
  return there.p50Ms !== null && now.p50Ms !== null && there.p50Ms > DEARER * now.p50Ms;
}
