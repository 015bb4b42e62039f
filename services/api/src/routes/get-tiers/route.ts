/** GET /v1/tiers: what each tier gets from the published model, with the quality measured for it. */
import {
  tiersAnswerSchema,
  type Manifest,
  type PublishReport,
  type Tier,
  type TierAnswer,
} from '@nestrec/contracts';
import { measuredPlanOf } from '@nestrec/retrieval';
import type { ServedVersion } from '../../deps.js';
import { defineRoute } from '../../http/route.js';
import { ANY_KEY } from '../shared-schemas.js';

const BYTES_PER_NUMBER = 4;

export const getTiers = defineRoute({
  method: 'get',
  path: '/v1/tiers',
  summary: 'Tiers and what they are worth',
  description:
    'quality is the published manifest’s own measurement at the size that the tier is served; ndcg_at_10 and recall_at_10 with their 95 % intervals are those of the quality gate (test cases, whole catalogue, seen items masked); index tells how that size is searched by the tier’s plan, as measured when the version was published last. null: not measured; such a size is read whole until the version is published again.',
  access: ANY_KEY,
  answers: { 200: { description: 'All tiers, smallest first.', schema: tiersAnswerSchema } },
  errors: [],
  async handler(_input, { deps }) {
    const [tiers, published] = await Promise.all([deps.tiers.list(), deps.models.published()]);
    const report = published && (await deps.models.measured(published.version));
    return {
      status: 200,
      body: {
        model_version: published?.version ?? null,
        tiers: tiers.map((tier) => describeTier(tier, published, report)),
      },
    };
  },
});

function describeTier(
  tier: Tier,
  served: ServedVersion | null,
  report: PublishReport | null,
): TierAnswer {
  const { max_dim } = tier;
  const manifest = served?.manifest ?? null;
  const sizes = manifest?.config.sizes ?? [];
  const dim = sizes.filter((size) => max_dim === null || size <= max_dim).at(-1) ?? null;
  const rows = dim === null ? [] : (manifest?.quality ?? []).filter((row) => row.dim === dim);
  return {
    ...tier,
    dim,
    bytes_per_item: dim === null ? null : dim * BYTES_PER_NUMBER,
    ...estimatesAt(dim, manifest, report),
    index: dim === null ? null : indexAt(dim, tier, served, report),
    quality: rows.map(({ protocol, part, seenMasked, cases, metrics }) => ({
      protocol,
      part,
      seen_masked: seenMasked,
      cases,
      metrics,
    })),
  };
}

/**
 * What was measured when indexes were built last: also for tiers that are newer than the publish itself. Of
 * versions from before plans were kept, only the report of that knows.
 */
function indexAt(
  dim: number,
  { plan: wish }: Tier,
  served: ServedVersion | null,
  report: PublishReport | null,
): TierAnswer['index'] {
  if (served === null) return null;
  if (served.plans.length === 0) return report?.indexes.find((index) => index.dim === dim) ?? null;
  const measured = measuredPlanOf(served, dim, wish);
  if (measured === undefined) return null;
  const { plan, recallAt20: recall_at_20, p95Ms: p95_ms, bytes } = measured;
  return { dim, plan, recall_at_20, p95_ms, bytes };
}

/** What publishing measured at this size where it had to ask again, else what the artifact brought. */
function estimatesAt(dim: number | null, manifest: Manifest | null, report: PublishReport | null) {
  const judged = report?.tiers.find((tier) => dim !== null && tier.dim === dim);
  const own = manifest?.evaluation?.sizes.find((size) => dim !== null && size.dim === dim);
  return {
    ndcg_at_10: judged?.ndcg_at_10 ?? own?.ndcg10 ?? null,
    recall_at_10: judged?.recall_at_10 ?? own?.recall10 ?? null,
  };
}
