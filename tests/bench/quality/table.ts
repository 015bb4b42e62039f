/** The quality table as Markdown: one row per scorer, metrics side by side, best value of a column bold. */
import type { QualityRow } from '@nestrec/contracts';

const COLUMNS = ['ndcg@5', 'ndcg@10', 'ndcg@20', 'ndcg@50', 'recall@10', 'recall@50', 'mrr@10'];

/** Figures in the form of papers: `.0625`. */
export function figure(value: number): string {
  return value.toFixed(4).replace(/^0/, '');
}

function titleOf(metric: string): string {
  return metric.replace(/^\w+/, (name) => (name === 'recall' ? 'Recall' : name.toUpperCase()));
}

/** One block for rows of the same protocol, part and masking. */
export function metricsTable(rows: readonly QualityRow[]): string {
  const best = COLUMNS.map((c) => Math.max(...rows.map((row) => row.metrics[c] ?? 0)));
  const lines = rows.map((row) => {
    const cells = COLUMNS.map((column, i) => {
      const value = row.metrics[column] ?? 0;
      return value === best[i] ? `**${figure(value)}**` : figure(value);
    });
    return `| ${[row.scorer, ...cells].join(' | ')} |`;
  });
  return [
    `| scorer | ${COLUMNS.map(titleOf).join(' | ')} |`,
    `|---|${COLUMNS.map(() => '---').join('|')}|`,
    ...lines,
  ].join('\n');
}

/** All blocks of a report, each under its own heading; validation before test. */
export function qualityMarkdown(rows: readonly QualityRow[], suffix = ''): string {
  const groups = new Map<string, QualityRow[]>();
  for (const row of rows) {
    const masking = row.seenMasked ? 'seen items masked' : 'whole catalogue';
    const key = `${row.part}${suffix}, ${row.protocol}, ${masking}, ${row.cases} cases`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups].map(([key, group]) => `#### ${key}\n\n${metricsTable(group)}`).join('\n\n');
}
