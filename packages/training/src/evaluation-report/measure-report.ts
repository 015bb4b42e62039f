/**
 * Measures everything of an evaluation report that data and models tell. All figures come from one set of answers to
 * the test cases (and one per number of known events); nothing is chosen by them.
 *
 * Knows neither the database nor artifacts: who calls says which cases the model was trained on.
 */
import type { EvaluationReport } from '@nestrec/contracts';
import type { EvaluationCases, SequenceDataset, Split } from '@nestrec/dataset';
import { InsufficientData } from '@nestrec/errors';
import { countItems, DEFAULT_LEVEL, DEFAULT_RESAMPLES } from '@nestrec/evaluation';
import { createRandom } from '@nestrec/random';
import { askedOf, chooseCases } from '../seen-items.js';
import type { TrainedModel } from '../trained-model.js';
import { modelScorer } from '../vector-scorer.js';
import { answerCases, sampleIndexes, usersOf } from './answered-cases.js';
import { exitFigures } from './exit-figures.js';
import { breakdowns, coldStart, MIN_USERS } from './group-figures.js';
import { listFigures } from './list-figures.js';
import { qualityFigures } from './quality-figures.js';
import { createReportScorers } from './report-scorers.js';
import { scoringTimes } from './scoring-times.js';
import { seedFigures, type SeedAnswers } from './seed-figures.js';

export interface MeasureReportInput {
  readonly dataset: SequenceDataset;
  readonly split: Split;
  readonly model: TrainedModel;
  readonly version: string;
  /** Of the model's training; the draws of the report are made from it too. */
  readonly seed: number;
  /** Newest events of a history that the model is shown. */
  readonly maxLength: number;
  readonly text: { readonly vectors: Float32Array; readonly width: number } | null;
  /** Where the events that the model was trained on end, by user: positions in the data set. */
  readonly trainedEnd: Int32Array;
  /** Trainings of other seeds on the same data, opened one after the other. */
  readonly others?: readonly OtherTraining[];
  /** Widths of the SASRec baselines that are trained for the report, by the seed of the model; each takes long. */
  readonly sasrecWidths?: readonly number[];
  readonly onStage?: (stage: string) => void;
}

export interface OtherTraining {
  readonly version: string;
  readonly seed: number;
  readonly maxLength: number;
  /** Disposed of by the report. */
  open(): Promise<TrainedModel>;
}

export type MeasuredReport = Pick<
  EvaluationReport,
  | 'method'
  | 'scorers'
  | 'quality'
  | 'comparisons'
  | 'sizes'
  | 'exits'
  | 'latency'
  | 'breakdowns'
  | 'coldStart'
  | 'lists'
  | 'seeds'
> & { readonly counts: Pick<EvaluationReport['data'], 'cases' | 'askedUsers' | 'trainedOnCases'> };

const LIST_LENGTH = 10;
/** Lists that are looked at: coverage is a matter of how many, so the report says it. */
const LIST_CASES = 10_000;
const BYTES_PER_NUMBER = 4;

/** @throws InsufficientData where the model was trained on every case. */
export async function measureReport(input: MeasureReportInput): Promise<MeasuredReport> {
  const { dataset, split, model, text, maxLength, trainedEnd } = input;
  const stage = input.onStage ?? (() => {});
  const { numItems } = model.config;
  const random = createRandom(input.seed).fork('evaluation-report');
  const trainedOn = ({ user, positions }: EvaluationCases, c: number) =>
    positions![c]! < trainedEnd[user[c]!]!;
  const found = split.cases('test');
  const cases = chooseCases(
    found,
    Int32Array.from(found.target.keys()).filter((c) => !trainedOn(found, c)),
  );
  if (cases.target.length === 0) {
    throw new InsufficientData({
      detail:
        `The model was trained on all ${found.target.length} test cases of the protocol ` +
        `"${split.protocol}": ask by the protocol of its training, or wait for newer events.`,
    });
  }
  stage('Fitting the baselines');
  const scorers = await createReportScorers({
    ...{ split, model, maxLength, text },
    sasrec: {
      ...{ widths: input.sasrecWidths ?? [], seed: input.seed },
      onProgress(width, progress) {
        if (progress.kind !== 'epoch') return;
        const { epoch, primary } = progress.record;
        stage(`SASRec ${width}, epoch ${epoch}: NDCG@10 ${primary!.toFixed(4)} on validation`);
      },
    },
  });
  const of = sampleIndexes(cases.target.length, LIST_CASES, random.fork('lists'));
  stage(`Asking ${cases.target.length} cases`);
  const answered = answerCases(scorers, cases, numItems, { of, length: LIST_LENGTH });
  const counts = countItems(split.train, numItems);
  stage('Drawing intervals');
  const { quality, comparisons, sizes } = qualityFigures(answered, random);
  const exits = exitFigures({ model, answered, maxLength, random: random.fork('exits') });
  stage('Breaking down by history, popularity and day');
  const groups = breakdowns(answered, dataset, counts, random);
  stage('Asking about people of whom little is known');
  const cold = coldStart({ split, numItems, scorers, trainedOn, random: random.fork('cold') });
  stage('Looking at lists');
  const lists = listFigures({ answered, counts, model, text, random });
  stage('Timing the sizes');
  const { times, latency } = scoringTimes(model, cases, { maxLength, length: LIST_LENGTH });
  const own = { version: input.version, seed: input.seed };
  const trainings: SeedAnswers[] = [
    { ...own, answers: answered.answers.filter(({ kind }) => kind === 'model') },
  ];
  for (const other of input.others ?? []) {
    stage(`Asking ${other.version}`);
    trainings.push(await answersOf(other, cases, numItems));
  }
  return {
    counts: {
      cases: cases.target.length,
      askedUsers: usersOf(cases),
      trainedOnCases: found.target.length - cases.target.length,
    },
    method: {
      ...{ resamples: DEFAULT_RESAMPLES, level: DEFAULT_LEVEL, seed: input.seed },
      ...{ minUsers: MIN_USERS, listCases: of.length, listLength: LIST_LENGTH },
      diversityBy: text === null ? 'item_vectors' : 'text',
      coldEvents: split.protocol === 'temporal' ? 'first' : 'newest',
    },
    scorers: answered.answers.map(({ scorer, dim, kind, about }) => ({ scorer, dim, kind, about })),
    ...{ quality, comparisons, latency, lists, breakdowns: groups, coldStart: cold },
    sizes: sizes.map((size, k) => ({
      ...size,
      bytesPerItem: BYTES_PER_NUMBER * size.dim,
      medianMs: times[k]!.medianMs,
      p95Ms: times[k]!.p95Ms,
    })),
    ...(exits === undefined ? {} : { exits }),
    seeds: trainings.length < 2 ? null : seedFigures(answered, trainings, random),
  };
}

async function answersOf(
  { version, seed, maxLength, open }: OtherTraining,
  cases: EvaluationCases,
  numItems: number,
): Promise<SeedAnswers> {
  const model = await open();
  try {
    const answers = modelScorer(model, maxLength).answer(askedOf(cases, numItems), null);
    return { version, seed, answers };
  } finally {
    model.dispose();
  }
}
