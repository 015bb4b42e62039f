/** All stored interactions of the items that a model knows. */
import type { Database } from '@nestrec/database';
import { buildDataset, type DatasetRow, type SequenceDataset, type Spill } from '@nestrec/dataset';
import { streamInteractions } from '@nestrec/storage';

export interface KnownEvents {
  /** Items are numbered as the model numbers them. */
  readonly dataset: SequenceDataset;
  /** Events of other items; they are left out. */
  readonly unknownItemEvents: number;
}

/** @throws InsufficientData where there is none */
export async function readKnownEvents(
  db: Database,
  itemIds: readonly string[],
  spill: Spill,
): Promise<KnownEvents> {
  const known = new Set(itemIds);
  let unknownItemEvents = 0;
  async function* knownRows(): AsyncGenerator<DatasetRow[]> {
    for await (const batch of streamInteractions(db)) {
      const rows = batch.filter((row) => known.has(row.itemId));
      unknownItemEvents += batch.length - rows.length;
      if (rows.length > 0) yield rows;
    }
  }
  const dataset = await buildDataset(knownRows(), { catalogue: itemIds, spill });
  return { dataset, unknownItemEvents };
}
