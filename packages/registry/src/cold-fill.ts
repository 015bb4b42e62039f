/** An artifact's residuals for items that it has not learned: one way for publishing and for a training that goes on. */
import { createColdFill, type ColdFill } from '@nestrec/features';
import { ITEM_RESIDUAL } from '@nestrec/parameters';
import type { Artifact } from './artifact.js';

type ItemKnowledge = Pick<
  Artifact,
  'manifest' | 'parameters' | 'features' | 'learned' | 'likeness'
>;

/** Null where the model fills nothing. Otherwise indexes the learned items, in turns. */
export async function coldFillOf({
  manifest,
  parameters,
  features,
  learned,
  likeness,
}: ItemKnowledge): Promise<ColdFill | null> {
  const { coldItems, config } = manifest;
  const residual = parameters.get(ITEM_RESIDUAL)?.data;
  if (coldItems === undefined || coldItems.strength === 0) return null;
  if (residual === undefined || likeness === undefined) return null;
  const all = [...Array(config.numItems).keys()];
  return createColdFill(
    {
      ...{ features, spec: manifest.features, likeness },
      ...{ residual, width: config.sizes.at(-1)! },
      rows: learned === undefined ? all : all.filter((row) => learned[row] === 1),
    },
    coldItems,
  );
}
