import * as tf from '@tensorflow/tfjs-core';
import {
  splitLeaveOneOut,
  splitTemporal,
  type SequenceDataset,
  type Split,
} from '@nestrec/dataset';
import { isError, InsufficientData } from '@nestrec/errors';
import { byDay, gainOfRank } from '@nestrec/evaluation';
import { sliceParameters } from '@nestrec/parameters';
import { selectBackend } from '@nestrec/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { smallModel } from '../../../../tests/helpers/small-model.js';
import { askedOf } from '../seen-items.js';
import { createTrainedModel } from '../trained-model.js';
import { modelScorer } from '../vector-scorer.js';
import { measureReport, type MeasuredReport, type MeasureReportInput } from './measure-report.js';
import { createReportScorers } from './report-scorers.js';

const ITEMS = 30;
const USERS = 40;
const DAY_MS = 86_400_000;
const SIZES = [3, 8];
const NO_SASREC = { widths: [], seed: 1 };

/** Users of 4 to 9 events who walk through the items; half of their events are on the day of the last. */
function walkers(): SequenceDataset {
  const offsets = [0];
  const items: number[] = [];
  const times: number[] = [];
  for (let u = 0; u < USERS; u++) {
    for (let e = 0; e < 4 + (u % 6); e++) {
      items.push(1 + ((u * 7 + e * (1 + (u % 3))) % ITEMS));
      times.push((u + Math.floor(e / 2)) * DAY_MS + e);
    }
    offsets.push(items.length);
  }
  return {
    itemIds: Array.from({ length: ITEMS }, (_, i) => `i${i + 1}`),
    offsets: Int32Array.from(offsets),
    items: Int32Array.from(items),
    times: Float64Array.from(times),
  };
}

const dataset = walkers();
const split = splitLeaveOneOut(dataset);
const { config, parameters, features } = smallModel({ sizes: SIZES, numItems: ITEMS }, [1], 7);
/** A leave-one-out training: all but the newest two. */
const trainedEnd = dataset.offsets.slice(1).map((end) => end - 2);

async function measure(
  more: Partial<MeasureReportInput> = {},
  of = { config, parameters },
): Promise<MeasuredReport> {
  const model = createTrainedModel(of.config, of.parameters, features);
  try {
    return await measureReport({
      ...{ dataset, split, model, version: 'v1', seed: 1, maxLength: 50, trainedEnd },
      text: { vectors: features, width: config.featureWidth },
      ...more,
    });
  } finally {
    model.dispose();
  }
}

/** NDCG@10 of every case with seen items masked, by size. */
function gainsBySize(of: Split = split): number[][] {
  const model = createTrainedModel(config, parameters, features);
  const answers = modelScorer(model, 50).answer(askedOf(of.cases('test'), ITEMS), null);
  model.dispose();
  return answers.map(({ masked }) => [...masked].map((rank) => gainOfRank(rank, 10)));
}
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

describe('measureReport', () => {
  beforeAll(async () => {
    await selectBackend({ force: 'cpu' });
  });

  it('has the figures of early exits, which are those of the slice, beside the full depth', async () => {
    const deep = smallModel(
      { sizes: SIZES, numItems: ITEMS, blocks: 2, exits: [{ blocks: 1, dim: 3 }] },
      [1],
      7,
    );
    const report = await measure({}, deep);
    const slice = sliceParameters(deep.config, deep.parameters, 3, 1);
    const alone = await measure({}, slice);
    expect(alone).not.toHaveProperty('exits');
    const [exit, ...others] = report.exits!;
    expect(others).toEqual([]);
    expect(exit).toMatchObject({ blocks: 1, dim: 3 });
    expect(exit!.ndcg10.mean).toBeCloseTo(alone.sizes[0]!.ndcg10.mean, 12);
    expect(exit!.overFull.mean).toBeCloseTo(exit!.ndcg10.mean - report.sizes[0]!.ndcg10.mean, 12);
    expect(exit!.overFull.mean).not.toBe(0);
  });

  it('has the means of the cases, their differences and their shares, and leaks no tensor', async () => {
    const before = tf.memory().numTensors;
    const report = await measure();
    expect(tf.memory().numTensors).toBe(before);
    const [small, full] = gainsBySize().map(mean) as [number, number];
    const row = (scorer: string, seenMasked = true) =>
      report.quality.find((one) => one.scorer === scorer && one.seenMasked === seenMasked)!;
    expect(row('model@3').metrics['ndcg@10']!.mean).toBeCloseTo(small, 12);
    expect(row('model@8').metrics['ndcg@10']!.mean).toBeCloseTo(full, 12);
    expect(row('model@8', false).metrics['ndcg@10']!.mean).toBeLessThan(full);
    expect(report.scorers.map(({ scorer, kind }) => [scorer, kind])).toEqual([
      ['model@3', 'model'],
      ['model@8', 'model'],
      ...['popularity', 'markov', 'cooccurrence', 'item-knn', 'text-cosine'].map((name) => [
        name,
        'baseline',
      ]),
    ]);
    const over = report.comparisons.find(
      ({ dim, baseline, seenMasked }) => dim === 8 && baseline === 'markov' && seenMasked,
    )!;
    const markov = row('markov').metrics['ndcg@10']!.mean;
    expect(over.ndcg10.mean).toBeCloseTo(full - markov, 12);
    expect(over.ndcg10.low).toBeLessThan(over.ndcg10.mean);
    expect(report.comparisons).toHaveLength(2 * 2 * 5);
    const [first, last] = report.sizes;
    expect(first).toMatchObject({ dim: 3, bytesPerItem: 12, overSmaller: null });
    expect(first!.shareOfFull!.mean).toBeCloseTo(small / full, 12);
    expect(last!.shareOfFull).toEqual({ mean: 1, low: 1, high: 1 });
    expect(last!.overSmaller!.mean).toBeCloseTo(full - small, 12);
  });

  it('gives the same figures again', async () => {
    const [one, other] = [await measure(), await measure()];
    const figures = ({ sizes: _sizes, latency: _latency, ...rest }: MeasuredReport) => rest;
    expect(figures(other)).toEqual(figures(one));
  });

  it('breaks every case down once by history and popularity, and by day where there is a day before', async () => {
    const report = await measure();
    const cases = split.cases('test');
    for (const { by, groups } of report.breakdowns) {
      expect([by, groups.reduce((sum, group) => sum + group.cases, 0)]).toEqual([by, USERS]);
    }
    const times = dataset.times!.subarray(0, dataset.items.length);
    const previous = Float64Array.from(cases.positions!, (at) => times[at - 1]!);
    const [sameDay] = byDay(cases.times!, previous);
    const reported = report.breakdowns.find(({ by }) => by === 'day')!.groups[0]!;
    expect(reported).toMatchObject({ name: 'same-day', cases: sameDay!.cases.length });
    const [, gains] = gainsBySize();
    const group = mean([...sameDay!.cases].map((c) => gains![c]!));
    expect(reported.scorers!.find(({ dim }) => dim === 8)!.ndcg10.mean).toBeCloseTo(group, 12);
  });

  it('says nothing of groups of few users but how many they are', async () => {
    const report = await measure();
    const small = report.breakdowns
      .flatMap(({ groups }) => groups)
      .filter(({ users }) => users < 20);
    expect(small.length).toBeGreaterThan(0);
    expect(small.map(({ scorers }) => scorers)).toEqual(small.map(() => null));
  });

  it('shows the newest events alone of people of whom little is known', async () => {
    const report = await measure();
    expect(report.method.coldEvents).toBe('newest');
    expect(report.coldStart.map(({ events, group }) => [events, group.cases])).toEqual(
      [0, 1, 2, 3, 5].map((events) => [events, USERS]),
    );
    for (const { events, group } of report.coldStart) {
      const [, gains] = gainsBySize({ ...split, cases: () => split.casesKnowing(events) });
      const found = group.scorers!.find(({ dim }) => dim === 8)!.ndcg10.mean;
      expect(found).toBeCloseTo(mean(gains!), 12);
    }
  });

  it('lists what ranks first, for all scorers', async () => {
    const model = createTrainedModel(config, parameters, features);
    const cases = split.cases('test');
    const of = Int32Array.from(cases.target.keys()).filter((c) => c % 3 !== 1);
    const scorers = await createReportScorers({
      ...{ split, model, maxLength: 50, sasrec: NO_SASREC },
      text: { vectors: features, width: config.featureWidth },
    });
    const answers = scorers.flatMap(({ scorer }) =>
      scorer.answer(askedOf(cases, ITEMS), { of, length: 10 }),
    );
    model.dispose();
    expect(answers).toHaveLength(7);
    for (const { scorer, masked, lists } of answers) {
      // A target behind others of equal score may stand before them in a list.
      const exact = scorer.startsWith('model') || scorer === 'text-cosine';
      of.forEach((c, row) => {
        const place = lists!.subarray(row * 10, (row + 1) * 10).indexOf(cases.target[c]!) + 1;
        if (masked[c]! <= 10) expect(place).toBeGreaterThan(0);
        if (exact && place > 0) expect(place).toBe(masked[c]);
      });
    }
  });

  it('asks nothing that the model was trained on, and refuses where nothing is left', async () => {
    // The first half of the users was trained on whole.
    const half = trainedEnd.map((end, u) => (u < USERS / 2 ? end + 2 : end));
    const { counts, quality } = await measure({ trainedEnd: half });
    expect(counts).toEqual({ cases: USERS / 2, askedUsers: USERS / 2, trainedOnCases: USERS / 2 });
    const [, gains] = gainsBySize();
    const row = quality.find(({ scorer, seenMasked }) => scorer === 'model@8' && seenMasked)!;
    expect(row.metrics['ndcg@10']!.mean).toBeCloseTo(mean(gains!.slice(USERS / 2)), 12);
    const all = dataset.offsets.slice(1);
    const refused = await measure({ trainedEnd: all }).catch((error: unknown) => error);
    expect(isError(refused, InsufficientData)).toBe(true);
  });

  it('takes several trainings case by case', async () => {
    const twin = smallModel({ sizes: SIZES, numItems: ITEMS }, [1], 8);
    let open = 0;
    const others = [
      {
        ...{ version: 'v2', seed: 2, maxLength: 50 },
        open: () => {
          const model = createTrainedModel(twin.config, twin.parameters, features);
          open++;
          return Promise.resolve({ ...model, dispose: () => (open--, model.dispose()) });
        },
      },
    ];
    const { seeds, quality } = await measure({ others });
    expect(open).toBe(0);
    expect(seeds!.versions).toEqual([
      { version: 'v1', seed: 1 },
      { version: 'v2', seed: 2 },
    ]);
    const size = seeds!.sizes[1]!;
    const [own, other] = size.ndcg10 as [number, number];
    expect(own).toBeCloseTo(mean(gainsBySize()[1]!), 12);
    expect(size.mean).toBeCloseTo((own + other) / 2, 12);
    expect(size.deviation).toBeCloseTo(Math.abs(own - other) / Math.SQRT2, 12);
    const markov = quality.find(({ scorer, seenMasked }) => scorer === 'markov' && seenMasked)!;
    const over = size.overBaselines.find(({ baseline }) => baseline === 'markov')!;
    expect(over.ndcg10.mean).toBeCloseTo(size.mean - markov.metrics['ndcg@10']!.mean, 12);
    expect((await measure()).seeds).toBeNull();
  });

  it('trains a SASRec for each width that is asked for, and reports it as any other baseline', async () => {
    const before = tf.memory().numTensors;
    const stages: string[] = [];
    const report = await measure({ sasrecWidths: [2, 4], onStage: (stage) => stages.push(stage) });
    expect(tf.memory().numTensors).toBe(before);
    expect(stages).toContainEqual(expect.stringMatching(/^SASRec 4, epoch 1: NDCG@10 0\.\d{4} on/));
    for (const scorer of ['sasrec-2', 'sasrec-4']) {
      const about = report.scorers.find((one) => one.scorer === scorer)!;
      expect(about).toMatchObject({ kind: 'baseline', dim: null });
      expect(about.about).toMatch(/best of \d+ epochs/);
      const row = report.quality.find((one) => one.scorer === scorer && one.seenMasked)!;
      const model = report.quality.find((one) => one.scorer === 'model@8' && one.seenMasked)!;
      const over = report.comparisons.find(
        ({ dim, baseline, seenMasked }) => dim === 8 && baseline === scorer && seenMasked,
      )!;
      const difference = model.metrics['ndcg@10']!.mean - row.metrics['ndcg@10']!.mean;
      expect(over.ndcg10.mean).toBeCloseTo(difference, 12);
      expect(over.ndcg10.low).toBeLessThan(over.ndcg10.high);
      expect(report.lists.scorers.map((one) => one.scorer)).toContain(scorer);
    }
  });

  it('fits baselines to the training events of the split and to nothing else', async () => {
    const cuts = { validationFromMs: 20 * DAY_MS, testFromMs: 30 * DAY_MS };
    const later = dataset.items.subarray(0, dataset.items.length).slice();
    const times = dataset.times!.subarray(0, later.length);
    later.forEach((item, e) => (later[e] = times[e]! >= cuts.validationFromMs ? 1 : item));
    const model = createTrainedModel(config, parameters, features);
    const asked = askedOf(split.cases('test'), ITEMS);
    const ranks = async (of: SequenceDataset) => {
      const input = { model, maxLength: 50, text: null, sasrec: NO_SASREC };
      const scorers = await createReportScorers({ ...input, split: splitTemporal(of, cuts) });
      return scorers
        .filter(({ kind }) => kind === 'baseline')
        .map(({ scorer }) => [...scorer.answer(asked, null)[0]!.all]);
    };
    const [found, changed] = [await ranks(dataset), await ranks({ ...dataset, items: later })];
    model.dispose();
    expect(found).toHaveLength(4);
    expect(changed).toEqual(found);
  });
});
