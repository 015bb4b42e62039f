/** A cap on what one user can weigh: of each user only the newest events pass. */

/**
 * Passes rows, sorted by user and time, in batches of about the size they came in. Holds one batch and, of the
 * user under way, at most `cap` rows.
 * @param cap 0 = none
 * @param onDropped told how many rows of a user were left out
 */
export async function* cappedByUser<T extends { readonly userId: string }>(
  batches: AsyncIterable<readonly T[]>,
  cap: number,
  onDropped: (rows: number) => void,
): AsyncGenerator<readonly T[]> {
  if (cap === 0) return yield* batches;
  let userId: string | null = null;
  let newest: T[] = [];
  /** Where the oldest of `newest` stands, once it is full: it is a ring from then on. */
  let oldest = 0;
  let dropped = 0;
  const finish = (): T[] => {
    const rows = oldest === 0 ? newest : [...newest.slice(oldest), ...newest.slice(0, oldest)];
    if (dropped > 0) onDropped(dropped);
    [newest, oldest, dropped] = [[], 0, 0];
    return rows;
  };
  for await (const batch of batches) {
    const out: T[] = [];
    for (const row of batch) {
      if (row.userId !== userId) {
        for (const one of finish()) out.push(one);
        userId = row.userId;
      }
      if (newest.length < cap) newest.push(row);
      else {
        newest[oldest] = row;
        oldest = (oldest + 1) % cap;
        dropped++;
      }
    }
    if (out.length > 0) yield out;
  }
  const last = finish();
  if (last.length > 0) yield last;
}
