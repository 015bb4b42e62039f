/**
 * Exact order statistics of numbers that need not fit memory: the range that holds the wanted rank is cut
 * into buckets and counted, pass by pass, until its numbers are all equal.
 */
import { inOrder, type Numbers } from './numbers.js';

const BUCKETS = 2 ** 16;
const READ_NUMBERS = 2 ** 16;

function* blocksOf(numbers: Numbers<Float64Array>): Generator<Float64Array> {
  const ahead = inOrder(numbers);
  for (let at = 0; at < numbers.length; at += READ_NUMBERS)
    yield ahead.subarray(at, Math.min(numbers.length, at + READ_NUMBERS));
}

/** The number at `rank` (from 0) if finite `numbers` were sorted; there must be that many. */
export function numberAtRank(numbers: Numbers<Float64Array>, rank: number): number {
  let [low, high] = [Infinity, -Infinity];
  for (const block of blocksOf(numbers))
    for (const value of block) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  const [counts, least, most] = [
    new Float64Array(BUCKETS),
    new Float64Array(BUCKETS),
    new Float64Array(BUCKETS),
  ];
  for (let before = 0; low < high;) {
    counts.fill(0);
    least.fill(Infinity);
    most.fill(-Infinity);
    // The extremes fall into the first and the last bucket, so every pass leaves fewer numbers.
    const scale = BUCKETS / (high - low);
    for (const block of blocksOf(numbers))
      for (const value of block) {
        if (value < low || value > high) continue;
        const bucket = Math.min(BUCKETS - 1, Math.floor((value - low) * scale));
        counts[bucket]!++;
        if (value < least[bucket]!) least[bucket] = value;
        if (value > most[bucket]!) most[bucket] = value;
      }
    let bucket = 0;
    while (before + counts[bucket]! <= rank) before += counts[bucket++]!;
    [low, high] = [least[bucket]!, most[bucket]!];
  }
  return low;
}
