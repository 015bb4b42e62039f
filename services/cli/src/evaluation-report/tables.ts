/** The tables of a report. Each figure stands with its interval. */
import type { Estimate, EvaluationReport, ReportedGroup } from '@nestrec/contracts';
import { bytes, count, interval, metric, percent, short, signed } from './figures.js';
import { markup, type Fragment, type Markup } from './markup.js';

interface Row {
  readonly cells: readonly Fragment[];
  readonly model?: boolean;
}

export function table(
  caption: string,
  head: readonly Fragment[],
  rows: readonly Row[],
  layout: 'plain' | 'stacked' = 'plain',
): Markup {
  return markup`<div class="wide"><table class="${layout}"><caption>${caption}</caption>
<thead><tr>${head.map((name) => markup`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${rows.map(
    ({ cells, model = false }) =>
      markup`<tr class="${model ? 'model' : 'baseline'}">${cells.map((cell) => markup`<td>${cell}</td>`)}</tr>
`,
  )}</tbody></table></div>`;
}

const estimated = (estimate: Estimate, format = metric) =>
  markup`${format(estimate.mean)} <small>${interval(estimate, format)}</small>`;

/** A difference, and whether its interval leaves 0 out. */
function difference(estimate: Estimate): Markup {
  const style = estimate.low > 0 ? 'ahead' : estimate.high < 0 ? 'behind' : 'level';
  return markup`<span class="${style}">${signed(estimate.mean)}</span> <small>${interval(estimate, signed)}</small>`;
}

const MAIN_METRICS = ['ndcg@10', 'recall@10', 'mrr@10'];

export function qualityTable(report: EvaluationReport, seenMasked: boolean): Markup {
  return table(
    seenMasked ? 'Seen items masked' : 'Whole catalogue, seen items not masked',
    ['scorer', ...MAIN_METRICS],
    report.quality
      .filter((row) => row.seenMasked === seenMasked)
      .map(({ scorer, dim, metrics }) => ({
        model: dim !== null,
        cells: [scorer, ...MAIN_METRICS.map((name) => estimated(metrics[name]!))],
      })),
  );
}

/** Means of every metric at every cut-off. */
export function allMetricsTable(report: EvaluationReport, seenMasked: boolean): Markup {
  const rows = report.quality.filter((row) => row.seenMasked === seenMasked);
  const names = Object.keys(rows[0]?.metrics ?? {});
  return table(
    seenMasked ? 'Means, seen items masked' : 'Means, whole catalogue',
    ['scorer', ...names],
    rows.map(({ scorer, dim, metrics }) => ({
      model: dim !== null,
      cells: [scorer, ...names.map((name) => metric(metrics[name]!.mean))],
    })),
  );
}

export function comparisonTable(report: EvaluationReport, seenMasked: boolean): Markup {
  const rows = report.comparisons.filter((row) => row.seenMasked === seenMasked);
  const baselines = [...new Set(rows.map(({ baseline }) => baseline))];
  return table(
    `NDCG@10 of the model minus the baseline, ${seenMasked ? 'seen items masked' : 'whole catalogue'}`,
    ['size', ...baselines.map((name) => `over ${name}`)],
    report.sizes.map(({ dim }) => ({
      cells: [
        String(dim),
        ...baselines.map((baseline) =>
          difference(rows.find((row) => row.dim === dim && row.baseline === baseline)!.ndcg10),
        ),
      ],
    })),
  );
}

export function sizesTable({ sizes, latency }: EvaluationReport): Markup {
  return table(
    `What a size is worth and costs; milliseconds are for ${latency.about}`,
    [
      'size',
      'NDCG@10',
      'share of the whole model',
      'over the next smaller',
      'bytes per item',
      'median ms',
      '95 % within ms',
    ],
    sizes.map((size) => ({
      cells: [
        String(size.dim),
        estimated(size.ndcg10),
        size.shareOfFull === null ? '-' : estimated(size.shareOfFull, percent),
        size.overSmaller === null ? '-' : difference(size.overSmaller),
        count(size.bytesPerItem),
        short(size.medianMs),
        short(size.p95Ms),
      ],
    })),
  );
}

export function exitsTable(exits: NonNullable<EvaluationReport['exits']>): Markup {
  return table(
    'Early exits, seen items masked; differences are from the full depth at the same size, case by case',
    ['after blocks', 'size', 'NDCG@10', 'Recall@10', 'NDCG@10 over the full depth'],
    exits.map(({ blocks, dim, ndcg10, recall10, overFull }) => ({
      model: true,
      cells: [
        ...[String(blocks), String(dim), estimated(ndcg10), estimated(recall10)],
        difference(overFull),
      ],
    })),
  );
}

export function servedTable({ served }: EvaluationReport): Markup {
  return table(
    'As it is searched in the database, measured when the version was published',
    ['size', 'plan', 'share of the exact top 20 found', '95 % of searches within ms', 'index'],
    served.map((row) => ({
      cells: [
        String(row.dim),
        row.plan,
        percent(row.recall_at_20),
        row.p95_ms === null ? '-' : short(row.p95_ms),
        row.bytes === 0 ? 'none' : bytes(row.bytes),
      ],
    })),
  );
}

/** NDCG@10 of groups of cases: scorers down, groups across. */
export function groupsTable(
  caption: string,
  { scorers, method }: EvaluationReport,
  groups: readonly ReportedGroup[],
): Markup {
  const sizeOf = ({ cases, users, scorers: measured }: ReportedGroup) =>
    `${count(cases)} cases, ` +
    (measured === null ? `fewer than ${method.minUsers} users` : `${count(users)} users`);
  return table(
    caption,
    ['scorer', ...groups.map((group) => markup`${group.label} <small>${sizeOf(group)}</small>`)],
    scorers.map(({ scorer, dim }, i) => ({
      model: dim !== null,
      cells: [
        scorer,
        ...groups.map((group) =>
          group.scorers === null ? '-' : estimated(group.scorers[i]!.ndcg10),
        ),
      ],
    })),
    // Many columns: what is small stands below.
    'stacked',
  );
}

export function listsTable({ lists, method }: EvaluationReport): Markup {
  return table(
    `Lists of ${method.listLength} for ${count(method.listCases)} cases`,
    [
      'scorer',
      'share of the catalogue shown',
      'Gini of showings',
      'training events of a shown item',
      'differences within a list',
    ],
    [
      ...lists.scorers.map(({ scorer, dim, coverage, gini, popularity, diversity }) => ({
        model: dim !== null,
        cells: [
          scorer,
          percent(coverage),
          short(gini),
          estimated(popularity, short),
          estimated(diversity, short),
        ],
      })),
      { cells: ['what people took', '-', '-', estimated(lists.targetPopularity, short), '-'] },
    ],
  );
}

export function seedsTable({ versions, sizes }: NonNullable<EvaluationReport['seeds']>): Markup {
  return table(
    'NDCG@10 under several seeds, seen items masked; differences are of the mean over seeds',
    [
      'size',
      ...versions.map(({ version, seed }) => `${version} (seed ${seed})`),
      'mean',
      'standard deviation',
      ...(sizes[0]?.overBaselines.map(({ baseline }) => `over ${baseline}`) ?? []),
    ],
    sizes.map((size) => ({
      cells: [
        String(size.dim),
        ...size.ndcg10.map(metric),
        metric(size.mean),
        metric(size.deviation),
        ...size.overBaselines.map(({ ndcg10 }) => difference(ndcg10)),
      ],
    })),
  );
}
