/** The charts of a report: quality by size, quality by what a size costs, and the curves of the training. */
import type { EvaluationReport } from '@nestrec/contracts';
import { chart, type Series } from './chart.js';
import { interval, metric, short } from './figures.js';
import type { Markup } from './markup.js';

const Y = { yLabel: 'NDCG@10', yFormat: metric, fromZero: true };

export function qualityBySize(report: EvaluationReport): Markup {
  const { sizes } = report;
  return chart({
    ...Y,
    title: 'NDCG@10 by size, seen items masked, beside the baselines',
    xLabel: 'dimensions',
    xScale: 'log',
    xTicks: sizes.map(({ dim }) => dim),
    series: [sizeSeries(report, ({ dim }) => dim, 'model')],
    references: masked(report)
      .filter(({ dim }) => dim === null)
      .map(({ scorer, metrics }) => {
        const found = metrics['ndcg@10']!;
        const title = `${scorer}: ${metric(found.mean)} (${interval(found)})`;
        return { name: scorer, y: found.mean, title };
      }),
  });
}

export function qualityByBytes(report: EvaluationReport): Markup {
  return chart({
    ...Y,
    title: 'NDCG@10 by bytes of an item vector',
    xLabel: 'bytes per item (float32)',
    xScale: 'log',
    xTicks: report.sizes.map(({ bytesPerItem }) => bytesPerItem),
    series: [sizeSeries(report, ({ bytesPerItem }) => bytesPerItem, 'model')],
  });
}

export function qualityByLatency(report: EvaluationReport): Markup {
  return chart({
    ...Y,
    title: `NDCG@10 by the time that scoring ${report.latency.items} items takes`,
    xLabel: 'median milliseconds per query, exact scoring in this process',
    xScale: 'log',
    xTicks: report.sizes.map(({ medianMs }) => Math.max(medianMs, LEAST_MS)),
    xFormat: short,
    series: [sizeSeries(report, ({ medianMs }) => Math.max(medianMs, LEAST_MS), 'model')],
  });
}

/** A logarithm has no 0; a clock may. */
const LEAST_MS = 0.001;

/** Loss and validation quality by epoch; nothing where the manifest tells of no epoch. */
export function trainingCurves({ epochs }: EvaluationReport): Markup[] {
  if (epochs === null || epochs.length === 0) return [];
  const xTicks = epochs.map(({ epoch }) => epoch).filter(everyNth(epochs.length));
  const shared = { xLabel: 'epoch', xScale: 'linear' as const, xTicks };
  const loss: Series = {
    name: 'training loss',
    points: epochs.map(({ epoch, loss: y }) => ({
      x: epoch,
      y,
      title: `epoch ${epoch}: ${short(y)}`,
    })),
  };
  const sizes = [...new Set(epochs.flatMap(({ bySize }) => Object.keys(bySize)))];
  const quality = sizes.map((size): Series => ({
    name: `@${size}`,
    points: epochs.flatMap(({ epoch, bySize }) => {
      const y = bySize[size];
      return y === undefined ? [] : [{ x: epoch, y, title: `epoch ${epoch}: ${metric(y)}` }];
    }),
  }));
  const curves = [
    chart({
      ...shared,
      title: 'Training loss by epoch (mean cross-entropy over sizes, in nats)',
      yLabel: 'loss',
      yFormat: short,
      fromZero: false,
      series: [loss],
    }),
  ];
  if (quality.length === 0) return curves;
  const title = 'NDCG@10 on validation by epoch, for each size';
  return [...curves, chart({ ...shared, ...Y, title, series: quality })];
}

const MOST_TICKS = 12;
const everyNth = (count: number) => (_: number, i: number) =>
  i % Math.ceil(count / MOST_TICKS) === 0;

function sizeSeries(
  { sizes }: EvaluationReport,
  xOf: (size: EvaluationReport['sizes'][number]) => number,
  name: string,
): Series {
  return {
    name,
    points: sizes.map((size) => ({
      x: xOf(size),
      y: size.ndcg10.mean,
      low: size.ndcg10.low,
      high: size.ndcg10.high,
      title: `${size.dim} dimensions, ${metric(size.ndcg10.mean)} (${interval(size.ndcg10)})`,
    })),
  };
}

const masked = ({ quality }: EvaluationReport) => quality.filter((row) => row.seenMasked);
