/**
 * A recommender that serves a smaller size where it is told that there is overload, and says so.
 *
 * Smaller is cheaper only where it is found in the same way: beside an index, sizes without one are passed
 * over.
 */
import type { RecommendationsAnswer } from '@nestrec/contracts';
import { resolveDim } from './dimensions.js';
import type { PublishedModel, PublishedModels } from './published-models.js';
import type { ListRequest, Recommender } from './recommender.js';
import { EXACT_MAX_ROWS } from './search.js';

export function withStepDown(
  recommender: Recommender,
  models: Pick<PublishedModels, 'current'>,
): Recommender {
  const serve = async <R extends ListRequest>(
    request: R,
    ask: (request: R) => Promise<RecommendationsAnswer>,
  ): Promise<RecommendationsAnswer> => {
    const steps = request.stepsDown ?? 0;
    if (steps === 0) return ask(request);
    const model = await models.current();
    const entitled = resolveDim(model.cell.sizes, request);
    const dim = smallerSize(model, entitled, steps);
    if (dim === entitled) return ask(request);
    const answer = await ask({ ...request, dim });
    const degraded = { reason: 'overload', dim: entitled } as const;
    return { ...answer, served_by: { ...answer.served_by, degraded } };
  };
  return {
    ...recommender,
    recommendForUser: (request) => serve(request, (one) => recommender.recommendForUser(one)),
    recommendForSession: (request) => serve(request, (one) => recommender.recommendForSession(one)),
    similarItems: (request) => serve(request, (one) => recommender.similarItems(one)),
  };
}

/** The size so many steps below `dim`, or the smallest, or `dim` itself where none is cheaper. */
export function smallerSize(
  model: Pick<PublishedModel, 'rows' | 'indexedDims'> & {
    readonly cell: Pick<PublishedModel['cell'], 'sizes'>;
  },
  dim: number,
  steps: number,
): number {
  const needsIndex = model.rows > EXACT_MAX_ROWS && model.indexedDims.has(dim);
  const cheaper = model.cell.sizes.filter(
    (size) => size < dim && (!needsIndex || model.indexedDims.has(size)),
  );
  return cheaper[Math.max(0, cheaper.length - steps)] ?? dim;
}
