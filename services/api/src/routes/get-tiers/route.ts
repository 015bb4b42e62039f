/** GET /v1/tiers: what each tier gets from the published model, with the quality measured for it. */
import { tiersAnswerSchema, type Manifest, type Tier, type TierAnswer } from '@nestrec/contracts';
import { defineRoute } from '../../http/route.js';
import { ANY_KEY } from '../shared-schemas.js';

const BYTES_PER_NUMBER = 4;

export const getTiers = defineRoute({
  method: 'get',
  path: '/v1/tiers',
  summary: 'Tiers and what they are worth',
  description:
    'Quality is the published manifest’s own measurement at the size that the tier is served.',
  access: ANY_KEY,
  answers: { 200: { description: 'All tiers, smallest first.', schema: tiersAnswerSchema } },
  errors: [],
  async handler(_input, { deps }) {
    const [tiers, published] = await Promise.all([deps.tiers.list(), deps.models.published()]);
    const manifest = published?.manifest ?? null;
    return {
      status: 200,
      body: {
        model_version: published?.version ?? null,
        tiers: tiers.map((tier) => describeTier(tier, manifest)),
      },
    };
  },
});

function describeTier(tier: Tier, manifest: Manifest | null): TierAnswer {
  const { max_dim } = tier;
  const sizes = manifest?.config.sizes ?? [];
  const dim = sizes.filter((size) => max_dim === null || size <= max_dim).at(-1) ?? null;
  const rows = dim === null ? [] : (manifest?.quality ?? []).filter((row) => row.dim === dim);
  return {
    ...tier,
    dim,
    bytes_per_item: dim === null ? null : dim * BYTES_PER_NUMBER,
    quality: rows.map(({ protocol, part, seenMasked, cases, metrics }) => ({
      protocol,
      part,
      seen_masked: seenMasked,
      cases,
      metrics,
    })),
  };
}
