/**
 * Which size a tier should take, from an evaluation report: the best that fits so many bytes, or the smallest that is
 * shown to have so much of the whole model's quality. Pure: reads nothing and changes no tier.
 */
import type { EvaluationReport, ReportedSize } from '@nestrec/contracts';
import { InsufficientData, UsageError } from '@nestrec/errors';
import { metric, percent } from './evaluation-report/figures.js';

/** Exactly one of both. */
export type SizeWish =
  /** Bytes that an item vector may take. */
  | { readonly bytesPerItem: number }
  /** Share of the whole model's NDCG@10. */
  | { readonly minQuality: number };

export interface SizeRecommendation {
  readonly size: ReportedSize;
  /** In words, with numbers. */
  readonly why: string;
  readonly smaller: ReportedSize | null;
  readonly larger: ReportedSize | null;
}

/** @throws UsageError where no size is small enough; InsufficientData where shares are not known */
export function recommendSize(
  { sizes, method }: Pick<EvaluationReport, 'sizes' | 'method'>,
  wish: SizeWish,
): SizeRecommendation {
  const { at, why } =
    'bytesPerItem' in wish
      ? bestWithin(sizes, wish.bytesPerItem)
      : smallestWith(sizes, wish.minQuality, method.level);
  return { size: sizes[at]!, why, smaller: sizes[at - 1] ?? null, larger: sizes[at + 1] ?? null };
}

function bestWithin(sizes: readonly ReportedSize[], most: number) {
  const fitting = sizes.filter(({ bytesPerItem }) => bytesPerItem <= most);
  if (fitting.length === 0) {
    const [smallest] = sizes;
    throw new UsageError({
      detail: `--bytes-per-item is ${most}; the smallest size, ${smallest!.dim}, takes ${smallest!.bytesPerItem} bytes per item.`,
    });
  }
  const best = fitting.reduce((a, b) => (b.ndcg10.mean > a.ndcg10.mean ? b : a));
  const at = sizes.indexOf(best);
  const among =
    fitting.length === 1
      ? 'the only size'
      : `of the ${fitting.length} sizes within ${most} bytes per item the one with the highest NDCG@10`;
  const over = best.overSmaller;
  const close =
    over !== null && over.low <= 0
      ? ` That it is better than ${sizes[at - 1]!.dim} is not shown: its lead is ${metric(over.mean)}, between ${metric(over.low)} and ${metric(over.high)}.`
      : '';
  const within = fitting.length === 1 ? ` within ${most} bytes per item` : '';
  return { at, why: `It is ${among}${within}: ${metric(best.ndcg10.mean)}.${close}` };
}

function smallestWith(sizes: readonly ReportedSize[], wanted: number, level: number) {
  const at = sizes.findIndex(({ shareOfFull }) => (shareOfFull?.low ?? -1) >= wanted);
  const full = sizes.at(-1)!;
  if (at < 0) {
    throw new InsufficientData({
      detail: `No size is shown to have ${percent(wanted)} of the whole model's NDCG@10, which is ${metric(full.ndcg10.mean)}: measure on more cases.`,
    });
  }
  const size = sizes[at]!;
  if (size === full) {
    return {
      at,
      why: `It is the whole model; no smaller size is shown to have ${percent(wanted)} of its NDCG@10.`,
    };
  }
  const { mean, low, high } = size.shareOfFull!;
  return {
    at,
    why:
      `It is the smallest size that is shown to have ${percent(wanted)} of the NDCG@10 at ${full.dim}: ` +
      `it has ${percent(mean)}, and at least ${percent(low)} by the lower bound of its interval ` +
      `(${percent(low)} to ${percent(high)} in ${Math.round(100 * level)} % of the resamples).`,
  };
}
