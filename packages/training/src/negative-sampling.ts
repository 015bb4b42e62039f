/**
 * Draws the candidates of a training step: the batch's own items, items drawn uniformly and items drawn by popularity,
 * each with the logarithm of its probability, from a seeded stream.
 *
 * What the batch has is certain, so its probability is 1; every other item is a candidate if one of the draws hits it,
 * and that probability is known exactly: the estimate of a softmax's denominator is right on average, given the batch
 * (decision 0014). Knows nothing of models.
 */
import type { Histories } from '@nestrec/dataset';
import type { ItemSample } from '@nestrec/model';
import type { Random } from '@nestrec/random';

export interface SamplingOptions {
  readonly numItems: number;
  readonly train: Histories;
  /** Draws a step, with replacement; from the number of items on, every item is a candidate. */
  readonly uniformNegatives: number;
  readonly popularityNegatives: number;
}

export interface NegativeSampler {
  sample(
    batch: { readonly inputs: Int32Array; readonly targets: Int32Array },
    random: Random,
  ): ItemSample;
}

export function createNegativeSampler(options: SamplingOptions): NegativeSampler {
  const { numItems, uniformNegatives: uniform } = options;
  const all = uniform >= numItems;
  const shares = popularityShares(options.train, numItems);
  const popular = shares === null ? 0 : options.popularityNegatives;
  const draw = shares === null ? null : aliasSampler(shares);
  /** log of the probability that no uniform draw hits an item. */
  const uniformMiss = uniform * Math.log1p(-1 / numItems);
  const correction = (item: number): number => {
    if (all) return 0;
    const miss = uniformMiss + (popular === 0 ? 0 : popular * Math.log1p(-shares![item - 1]!));
    return -Math.log(-Math.expm1(miss));
  };
  /** Step that last took an item; negative where the batch has it. */
  const mark = new Int32Array(numItems + 1);
  let step = 0;

  return {
    sample({ inputs, targets }, random) {
      step++;
      const most = inputs.length + targets.length + (all ? numItems : uniform + popular);
      const taken = new Int32Array(Math.min(most, numItems));
      let count = 0;
      const take = (item: number, value: number) => {
        if (item === 0 || Math.abs(mark[item]!) === step) return;
        mark[item] = value;
        taken[count++] = item;
      };
      for (const item of inputs) take(item, -step);
      for (const item of targets) take(item, -step);
      if (all) for (let item = 1; item <= numItems; item++) take(item, step);
      else for (let i = 0; i < uniform; i++) take(1 + random.int(numItems), step);
      if (draw !== null && !all) for (let i = 0; i < popular; i++) take(1 + draw(random), step);
      const items = taken.slice(0, count).sort();
      return {
        items,
        bias: Float32Array.from(items, (item) => (mark[item]! < 0 ? 0 : correction(item))),
      };
    },
  };
}

/** Probability of each item in one draw by popularity: its share of the training events; null where there are none. */
function popularityShares(train: Histories, numItems: number): Float64Array | null {
  if (train.events === 0) return null;
  const shares = new Float64Array(numItems);
  for (const history of train) {
    for (const item of history) shares[item - 1]! += 1 / train.events;
  }
  return shares;
}

/** Draws indexes with the given probabilities in constant time (Vose's alias method). */
function aliasSampler(shares: Float64Array): (random: Random) => number {
  const count = shares.length;
  const keep = shares.map((share) => share * count);
  const alias = Int32Array.from(keep.keys());
  const [small, large]: [number[], number[]] = [[], []];
  keep.forEach((share, i) => (share < 1 ? small : large).push(i));
  while (small.length > 0 && large.length > 0) {
    const [less, more] = [small.pop()!, large.at(-1)!];
    alias[less] = more;
    keep[more] = keep[more]! - (1 - keep[less]!);
    if (keep[more] < 1) small.push(large.pop()!);
  }
  // What is left differs from 1 by rounding only.
  for (const i of [...small, ...large]) keep[i] = 1;
  return (random) => {
    const i = random.int(count);
    return random.uniform() < keep[i]! ? i : alias[i]!;
  };
}
