/** The best items of an array of scores, in order, without sorting it. */

/**
 * Fills `out` with the items of the highest scores, best first, 0 where there are no more. Of equal scores
 * the item with the smaller id comes first. What has no finite score or is `left` out is no candidate.
 *
 * @param scores index 0 is no item.
 */
export function topOf(scores: Float32Array, left: Int32Array, out: Int32Array): void {
  out.fill(0);
  let found = 0;
  let bar = -Infinity;
  for (let item = 1; item < scores.length; item++) {
    const score = scores[item]!;
    // Also refuses what is not a number. Most items end here, so that the rest may be slow.
    if (!(score > bar) || score === Infinity || left.includes(item)) continue;
    let at = found < out.length ? found++ : out.length - 1;
    for (; at > 0 && scores[out[at - 1]!]! < score; at--) out[at] = out[at - 1]!;
    out[at] = item;
    if (found === out.length) bar = scores[out[found - 1]!]!;
  }
}
