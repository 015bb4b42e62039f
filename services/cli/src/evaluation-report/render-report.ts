/** `report.html`: the evaluation report as one file that needs no other, readable in light and dark. */
import type { EvaluationReport } from '@nestrec/contracts';
import { qualityByBytes, qualityByLatency, qualityBySize, trainingCurves } from './charts.js';
import { count } from './figures.js';
import { Markup, markup } from './markup.js';
import { STYLE } from './style.js';
import {
  allMetricsTable,
  comparisonTable,
  exitsTable,
  groupsTable,
  listsTable,
  qualityTable,
  seedsTable,
  servedTable,
  sizesTable,
} from './tables.js';

export function renderReport(report: EvaluationReport): string {
  const { model, data } = report;
  const title = `${model.version}: quality, ${data.protocol}`;
  const page = markup`<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<title>${title}</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
${header(report)}
${quality(report)}
${cost(report)}
${whoIsServed(report)}
${lists(report)}
${seeds(report)}
${training(report)}
${method(report)}
</body>
</html>
`;
  return `<!DOCTYPE html>\n${page.text}`;
}

function header(report: EvaluationReport): Markup {
  const { model, data, createdAt, seconds } = report;
  return markup`<h1>Model ${model.version}</h1>
<p class="soft">Measured ${createdAt} in ${seconds.toFixed(0)} s, nestrec ${report.nestrecVersion}. Made ${model.createdAt}, seed ${model.seed}, sizes ${model.sizes.join(', ')}.</p>
<p>Protocol <b>${data.protocol}</b>${data.testFrom === null ? '' : ` (training before ${data.validationFrom}, test from ${data.testFrom})`}: ${count(data.cases)} test cases of ${count(data.askedUsers)} users, each ranked among all ${count(data.items)} items; ${count(data.trainEvents)} training events of ${count(data.users)} users.</p>
${cautions(report).map((text) => markup`<p class="caution">${text}</p>`)}`;
}

/** What a reader has to know before believing a figure. */
export function cautions({ model, data }: EvaluationReport): string[] {
  return [
    data.protocol === model.protocol
      ? null
      : `The model was trained with ${model.protocol} held out and is asked by ${data.protocol}: the baselines are fitted to other events than it was trained on.`,
    data.trainedOnCases === 0
      ? null
      : `${count(data.trainedOnCases)} test cases are left out because the model was trained on their target.`,
    model.startedFrom === null
      ? null
      : `The model began with the parameters of ${model.startedFrom}, which may have been trained on what is asked here.`,
    data.newerEvents === 0 || data.protocol === 'temporal'
      ? null
      : `${count(data.newerEvents)} events came after the training of the model: the baselines know those that are not held out, the model does not.`,
    data.droppedBySample === 0
      ? null
      : `${count(data.droppedBySample)} cases are left out by the sample.`,
    data.unknownItemEvents === 0
      ? null
      : `${count(data.unknownItemEvents)} events are left out because the model does not know their items.`,
    data.untrainedItemEvents === 0
      ? null
      : `${count(data.untrainedItemEvents)} events behind the cut are left out because no training event has their item.`,
  ].filter((text) => text !== null);
}

function quality(report: EvaluationReport): Markup {
  return markup`<h2>Quality by size</h2>
${qualityBySize(report)}
${qualityTable(report, true)}
${qualityTable(report, false)}
<h3>Beside each baseline, case by case</h3>
<p>Green: the whole interval lies above 0. Red: it lies below. Otherwise these cases do not tell the two apart.</p>
${comparisonTable(report, true)}
${comparisonTable(report, false)}
<details><summary>All cut-offs</summary>
${allMetricsTable(report, true)}
${allMetricsTable(report, false)}
</details>`;
}

function cost(report: EvaluationReport): Markup {
  return markup`<h2>What a size costs</h2>
<div class="charts">${qualityByBytes(report)}${qualityByLatency(report)}</div>
${sizesTable(report)}
${report.exits === undefined ? '' : exitsTable(report.exits)}
${report.served.length === 0 ? '' : servedTable(report)}`;
}

const BREAKDOWNS = {
  history_length: 'NDCG@10 by the number of events before the target',
  target_popularity: 'NDCG@10 by how popular the target is in training',
  day: 'NDCG@10 by when the target came',
} as const;

function whoIsServed(report: EvaluationReport): Markup {
  const { coldEvents } = report.method;
  const cold =
    coldEvents === 'first'
      ? 'NDCG@10 for users whom training never saw, by how many of their first events are known'
      : 'NDCG@10 where no more than the newest events of a user are known, all others hidden';
  return markup`<h2>For whom, and for what</h2>
${groupsTable(
  cold,
  report,
  report.coldStart.map(({ group }) => group),
)}
${report.breakdowns.map(({ by, groups }) => groupsTable(BREAKDOWNS[by], report, groups))}`;
}

function lists(report: EvaluationReport): Markup {
  const by = report.method.diversityBy === 'text' ? 'text features' : "the model's item vectors";
  return markup`<h2>What the lists are like</h2>
<p>Differences within a list are the mean of 1 - cosine over its pairs, by ${by}. A Gini coefficient of 0 shows all items alike, near 1 a few all the time.</p>
${listsTable(report)}`;
}

function seeds({ seeds: found }: EvaluationReport): Markup {
  if (found === null)
    return markup`<h2>Seeds</h2>
<p>One training. What a second seed would change is not known from it: name further trainings with --seeds.</p>`;
  return markup`<h2>Seeds</h2>
${seedsTable(found)}`;
}

function training(report: EvaluationReport): Markup {
  const curves = trainingCurves(report);
  if (curves.length === 0)
    return markup`<h2>Training</h2>
<p>The manifest of this model tells nothing of its epochs.</p>`;
  return markup`<h2>Training</h2>
<div class="charts">${curves}</div>`;
}

function method({ method: how, scorers }: EvaluationReport): Markup {
  return markup`<h2>How it was measured</h2>
<ul>
<li>Every scorer ranks the whole catalogue; the target stands behind every item of equal score. No figure comes from sampled negatives.</li>
<li>Intervals: ${percentOf(how.level)} of ${count(how.resamples)} bootstrap resamples that draw whole users, seed ${how.seed}. Differences and shares use the same draws for both sides.</li>
<li>Groups of fewer than ${how.minUsers} users are counted and not measured.</li>
${scorers.map(
  ({ scorer, about }) => markup`<li>${scorer}: ${about}</li>
`,
)}</ul>`;
}

const percentOf = (share: number) => `${Math.round(100 * share)} %`;
