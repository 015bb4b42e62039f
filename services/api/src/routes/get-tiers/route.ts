/** GET /v1/tiers: what each tier gets from the published model, with the quality measured for it. */
import {
  servedBlocks,
  tiersAnswerSchema,
  type Manifest,
  type PublishReport,
  type Tier,
  type ModelExit,
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
    'quality is the published manifest’s own measurement at the size, and the early exit, that the tier is served; ndcg_at_10 and recall_at_10 with their 95 % intervals are those of the quality gate (test cases, whole catalogue, seen items masked); index tells how that size is searched by the tier’s plan, as measured when the version was published last. null: not measured; such a size is read whole until the version is published again.',
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
  const exit = exitOf(tier, dim, manifest);
  const rows = (manifest?.quality ?? []).filter(
    (row) => dim !== null && row.dim === dim && row.blocks === exit?.blocks,
  );
  return {
    ...tier,
    dim,
    exit,
    bytes_per_item: dim === null ? null : dim * BYTES_PER_NUMBER,
    ...estimatesAt(tier, dim, exit, manifest, report),
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

/** Where the tier is served at it. */
function exitOf(
  { exit_blocks }: Tier,
  dim: number | null,
  manifest: Manifest | null,
): ModelExit | null {
  if (manifest === null || dim === null) return null;
  const blocks = servedBlocks(manifest.config, dim, exit_blocks);
  return blocks === manifest.config.blocks ? null : { blocks, dim };
}

/** What publishing measured at this size and exit where it had to ask again, else what the artifact brought. */
function estimatesAt(
  { exit_blocks: wish }: Tier,
  dim: number | null,
  exit: ModelExit | null,
  manifest: Manifest | null,
  report: PublishReport | null,
) {
  const judged = report?.tiers.find(
    (tier) => dim !== null && tier.dim === dim && (tier.exit_blocks ?? null) === wish,
  );
  const evaluation = manifest?.evaluation;
  const at = exit === null ? evaluation : evaluation?.exits?.find((e) => e.blocks === exit.blocks);
  const own = at?.sizes.find((size) => dim !== null && size.dim === dim);
  return {
    ndcg_at_10: judged?.ndcg_at_10 ?? own?.ndcg10 ?? null,
    recall_at_10: judged?.recall_at_10 ?? own?.recall10 ?? null,
  };
}
