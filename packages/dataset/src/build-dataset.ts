/**
 * Turns sorted interaction rows into one compact `SequenceDataset`.
 *
 * Knows nothing of where rows come from (pages of a table or an import). Rows must come sorted by user,
 * then time, then event id, the order of events everywhere: a row out of order is an error, since sorting
 * here would need the whole data in memory and hide a wrong query.
 */
import { compareEvents } from '@nestrec/contracts';
import { excerpt, InsufficientData, InvalidInput } from '@nestrec/errors';
import { NumberList, NumberSpool } from './number-list.js';
import type { Spill } from './spill.js';
import type { SequenceDataset } from './types.js';

export interface DatasetRow {
  readonly userId: string;
  readonly itemId: string;
  readonly timestampMs: number;
  readonly eventId: string;
}

export interface BuildDatasetOptions {
  /** Outer ids of all items in their internal order (item r is id r + 1); others are appended. */
  readonly catalogue?: readonly string[];
  /** False when the times were made up from the file's order: `times` is null then. */
  readonly realTimes?: boolean;
  /** Where events go that are too many for memory; without it all stay there. */
  readonly spill?: Spill;
}

/** Positions are 32-bit integers. */
const MAX_EVENTS = 2 ** 31 - 1;

/**
 * Reads all rows. Items get internal ids in catalogue order, further ones in order of first appearance. User
 * ids are compared, not kept.
 *
 * @throws InvalidInput for a row out of order; InsufficientData when there is no row at all; StagingFailed
 *   when events cannot be written to the spill.
 */
export async function buildDataset(
  rows: AsyncIterable<readonly DatasetRow[]> | Iterable<readonly DatasetRow[]>,
  options: BuildDatasetOptions = {},
): Promise<SequenceDataset> {
  const itemIds = [...(options.catalogue ?? [])];
  const internal = new Map(itemIds.map((id, row) => [id, row + 1]));
  if (internal.size !== itemIds.length)
    throw new InvalidInput({ detail: 'The catalogue names an item twice; wanted each id once.' });
  const spill = options.spill ?? null;
  const offsets = new NumberList(Int32Array);
  const items = new NumberSpool(Int32Array, spill);
  const times = options.realTimes === false ? null : new NumberSpool(Float64Array, spill);
  let previous: DatasetRow | null = null;
  for await (const batch of rows) {
    for (const row of batch) {
      requireSorted(previous, row);
      if (previous?.userId !== row.userId) offsets.push(items.length);
      let item = internal.get(row.itemId);
      if (item === undefined) {
        itemIds.push(row.itemId);
        item = itemIds.length;
        internal.set(row.itemId, item);
      }
      items.push(item);
      times?.push(row.timestampMs);
      previous = row;
    }
  }
  if (previous === null)
    throw new InsufficientData({ detail: 'There are no interactions; import some first.' });
  if (items.length > MAX_EVENTS)
    throw new InvalidInput({
      detail: `There are ${items.length} events; wanted at most ${MAX_EVENTS}. Leave out the oldest.`,
    });
  offsets.push(items.length);
  return {
    itemIds,
    offsets: offsets.finish(),
    items: items.finish(),
    times: times?.finish() ?? null,
  };
}

function requireSorted(previous: DatasetRow | null, row: DatasetRow): void {
  if (previous === null) return;
  const users =
    previous.userId === row.userId
      ? 0
      : Buffer.compare(Buffer.from(previous.userId), Buffer.from(row.userId));
  if (users < 0 || (users === 0 && compareEvents(previous, row) <= 0)) return;
  throw new InvalidInput({
    detail:
      `Rows are out of order: event ${excerpt(row.eventId)} of user ${excerpt(row.userId)} came after ` +
      `event ${excerpt(previous.eventId)} of user ${excerpt(previous.userId)}; wanted order by user, ` +
      'time, event id, each bytewise (COLLATE "C").',
  });
}
