/** Goes through histories, each with its scores; histories that a scorer cannot tell apart are scored once. */
import type { Histories, Scorer } from './types.js';

/**
 * Calls `use` once for every history, in an order of its own.
 *
 * @param use gets the row of the history and the scores, which are overwritten afterwards.
 */
export function scoreInTurn(
  scorer: Pick<Scorer, 'score' | 'readsNewest'>,
  { offsets, items }: Histories,
  itemCount: number,
  use: (row: number, scores: Float32Array) => void,
): void {
  const newestOf = (c: number) => (offsets[c + 1]! > offsets[c]! ? items[offsets[c + 1]! - 1]! : 0);
  const order = Int32Array.from({ length: offsets.length - 1 }, (_, c) => c);
  const reads = scorer.readsNewest ?? Infinity;
  if (reads === 1) order.sort((a, b) => newestOf(a) - newestOf(b));
  const scores = new Float32Array(itemCount + 1);
  let scored = -1;
  for (const c of order) {
    const key = reads === 0 ? 0 : newestOf(c);
    if (reads > 1 || key !== scored)
      scorer.score(items.subarray(offsets[c]!, offsets[c + 1]!), scores);
    scored = key;
    use(c, scores);
  }
}
