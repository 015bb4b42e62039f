/**
 * Turns sorted interaction rows into one compact `SequenceDataset`.
 *
 * Knows nothing of where rows come from (PostgreSQL cursor or an import). Rows must come sorted by user,
 * then time, then event id, the order of events everywhere: a row out of order is an error, since sorting
 * here would need the whole data in memory and hide a wrong query.
 */
import { compareEvents } from '@nestrec/contracts';
import { excerpt, InsufficientData, InvalidInput } from '@nestrec/errors';
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
}

/** A growing typed array: rows arrive in unknown number and plain arrays cost several times the memory. */
class Growing<T extends Int32Array | Float64Array> {
  private length = 0;
  constructor(
    private data: T,
    private readonly make: (length: number) => T,
  ) {}

  push(value: number): void {
    if (this.length === this.data.length) {
      const wider = this.make(this.data.length * 2);
      wider.set(this.data);
      this.data = wider;
    }
    this.data[this.length++] = value;
  }

  get size(): number {
    return this.length;
  }

  finish(): T {
    return this.data.slice(0, this.length) as T;
  }
}

/**
 * Reads all rows. Items get internal ids in catalogue order, further ones in order of first appearance.
 *
 * @throws InvalidInput for a row out of order; InsufficientData when there is no row at all.
 */
export async function buildDataset(
  rows: AsyncIterable<readonly DatasetRow[]> | Iterable<readonly DatasetRow[]>,
  options: BuildDatasetOptions = {},
): Promise<SequenceDataset> {
  const itemIds = [...(options.catalogue ?? [])];
  const internal = new Map(itemIds.map((id, row) => [id, row + 1]));
  if (internal.size !== itemIds.length)
    throw new InvalidInput({ detail: 'The catalogue names an item twice; wanted each id once.' });
  const userIds: string[] = [];
  const offsets: number[] = [0];
  const items = new Growing(new Int32Array(1024), (n) => new Int32Array(n));
  const times = new Growing(new Float64Array(1024), (n) => new Float64Array(n));
  let previous: DatasetRow | null = null;
  for await (const batch of rows) {
    for (const row of batch) {
      if (previous === null || previous.userId !== row.userId) {
        if (previous !== null) offsets.push(items.size);
        requireSorted(previous, row);
        userIds.push(row.userId);
      } else requireSorted(previous, row);
      let item = internal.get(row.itemId);
      if (item === undefined) {
        itemIds.push(row.itemId);
        item = itemIds.length;
        internal.set(row.itemId, item);
      }
      items.push(item);
      times.push(row.timestampMs);
      previous = row;
    }
  }
  if (previous === null)
    throw new InsufficientData({ detail: 'There are no interactions; import some first.' });
  offsets.push(items.size);
  return {
    userIds,
    itemIds,
    offsets: Int32Array.from(offsets),
    items: items.finish(),
    times: options.realTimes === false ? null : times.finish(),
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
