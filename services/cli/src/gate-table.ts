/** What publishing found of a version, as people read it: the gate's verdict per tier, and the indexes. */
import type { Estimate, PublishReport, TierVerdict } from '@nestrec/contracts';
import { renderTable } from './output.js';

const figure = (value: number | null) => (value === null ? '-' : value.toFixed(4));
const signed = (value: number) => `${value < 0 ? '-' : '+'}${Math.abs(value).toFixed(4)}`;

function withInterval(estimate: Estimate | null, text: (value: number) => string): string {
  if (estimate === null) return '-';
  return `${text(estimate.mean)} (${text(estimate.low)} to ${text(estimate.high)})`;
}

function tierCells(tier: TierVerdict): string[] {
  return [
    `${tier.max_dim ?? 'no limit'}${tier.exit_blocks ? ` after ${tier.exit_blocks}` : ''}`,
    tier.dim === null ? '-' : String(tier.dim),
    withInterval(tier.ndcg_at_10, (value) => value.toFixed(4)),
    figure(tier.popularity),
    figure(tier.published),
    withInterval(tier.over_published, signed),
    tier.verdict,
  ];
}

export function renderReport(report: PublishReport): string {
  const { version, against, cases, users, margin, forced_by } = report;
  const title =
    cases === null
      ? `Quality of ${version}: not measured on held-out cases`
      : `Quality of ${version}: NDCG@10 with 95 % intervals, ${cases} held-out cases of ${users} users, ` +
        `${(100 * margin).toFixed(1)} % less than the published is allowed`;
  const head = [
    'tier',
    'size',
    'NDCG@10',
    'popularity',
    against ?? 'published',
    'difference',
    'verdict',
  ];
  const indexes = report.indexes.map((index) => [
    ...[String(index.dim), index.plan, index.recall_at_20.toFixed(4)],
    index.p95_ms === null ? '-' : `${index.p95_ms.toFixed(1)} ms`,
    `${(index.bytes / 1e6).toFixed(1)} MB`,
  ]);
  return [
    title,
    ...(report.tiers.length === 0 ? [] : [renderTable(head, report.tiers.map(tierCells))]),
    ...report.tiers.filter(({ verdict }) => verdict === 'unknown').map(({ reason }) => reason),
    ...(report.reasons.length === 0 ? [] : ['Refused:', ...report.reasons.map((r) => `- ${r}`)]),
    ...(forced_by === null ? [] : [`Published all the same: forced by ${forced_by}.`]),
    ...(indexes.length === 0
      ? []
      : [renderTable(['index', 'plan', 'recall@20', 'p95', 'size'], indexes)]),
  ].join('\n');
}
