/** The quality table as people read it: scorers down, one column per metric. */
import type { EvaluationReport, QualityRow } from '@nestrec/contracts';
import { renderTable } from './output.js';

export interface QualityTableOptions {
  readonly part: QualityRow['part'];
  readonly seenMasked: boolean;
  readonly metrics: readonly string[];
}

const figure = (value: number | undefined) => (value === undefined ? '-' : value.toFixed(4));

export function renderQuality(
  quality: readonly QualityRow[],
  options: QualityTableOptions,
): string {
  const rows = quality.filter(
    (row) => row.part === options.part && row.seenMasked === options.seenMasked,
  );
  if (rows.length === 0) return '(nothing was measured)';
  const { protocol, cases } = rows[0]!;
  const title =
    `${options.part} items, ${protocol}, whole catalogue, ` +
    `seen items ${options.seenMasked ? 'masked' : 'not masked'}, ${cases} cases`;
  return `${title}\n${renderTable(
    ['scorer', ...options.metrics],
    rows.map((row) => [
      row.scorer,
      ...options.metrics.map((metric) => figure(row.metrics[metric])),
    ]),
  )}`;
}

/** Both ways of treating seen items, all cutoffs of three metrics. */
export function renderFullQuality(quality: readonly QualityRow[]): string {
  const metrics = ['ndcg', 'recall', 'mrr'].flatMap((name) =>
    [5, 10, 20, 50].map((cutoff) => `${name}@${cutoff}`),
  );
  return (['validation', 'test'] as const)
    .flatMap((part) =>
      [true, false].map((seenMasked) => renderQuality(quality, { part, seenMasked, metrics })),
    )
    .join('\n\n');
}

/** A report in short: sizes and baselines with their intervals. */
export function renderSizes({ quality, data, method }: EvaluationReport): string {
  const title =
    `test items, ${data.protocol}, whole catalogue, seen items masked, ` +
    `${data.cases} cases of ${data.askedUsers} users; ${Math.round(100 * method.level)} % intervals`;
  return `${title}\n${renderTable(
    ['scorer', 'ndcg@10', '', 'recall@10', ''],
    quality
      .filter((row) => row.seenMasked)
      .map(({ scorer, metrics }) => [
        scorer,
        ...['ndcg@10', 'recall@10'].flatMap((name) => {
          const { mean, low, high } = metrics[name]!;
          return [figure(mean), `${figure(low)} to ${figure(high)}`];
        }),
      ]),
  )}`;
}
