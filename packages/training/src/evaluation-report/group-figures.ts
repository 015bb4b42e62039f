/** NDCG@10 and Recall@10 of all scorers on groups of cases, with intervals; seen items masked. */
import type { EvaluationReport, ReportedGroup } from '@nestrec/contracts';
import {
  historiesOf,
  type EvaluationCases,
  type SequenceDataset,
  type Split,
} from '@nestrec/dataset';
import {
  byDay,
  byHistoryLength,
  byTargetPopularity,
  gainOfRank,
  resampleByGroup,
  type CaseGroup,
} from '@nestrec/evaluation';
import type { Random } from '@nestrec/random';
import { answerCases, limitCases, usersOf, type AnsweredCases } from './answered-cases.js';
import { previousTimes } from './previous-times.js';
import type { ReportScorer } from './report-scorers.js';

/** Below this many users nothing is said of a group: a mean of so few is chance, and tells of them. */
export const MIN_USERS = 20;
const CUTOFF = 10;

export function measureGroup(
  { cases, answers }: AnsweredCases,
  group: CaseGroup,
  random: Random,
): ReportedGroup {
  const { name, label, cases: of } = group;
  const about = { name, label, cases: of.length, users: usersOf(cases, of) };
  if (about.users < MIN_USERS) return { ...about, scorers: null };
  const columns = answers.flatMap(({ masked }) => [
    Float64Array.from(of, (c) => gainOfRank(masked[c]!, CUTOFF)),
    Float64Array.from(of, (c) => Number(masked[c]! <= CUTOFF)),
  ]);
  const users = of.map((c) => cases.user[c]!);
  const draws = random.fork(`group/${name}`);
  const resamples = resampleByGroup(columns, users, { uniform: () => draws.uniform() });
  const scorers = answers.map(({ scorer, dim }, a) => ({
    ...{ scorer, dim },
    ndcg10: resamples.estimate(2 * a),
    recall10: resamples.estimate(2 * a + 1),
  }));
  return { ...about, scorers };
}

/** @param counts training events by item. */
export function breakdowns(
  answered: AnsweredCases,
  dataset: SequenceDataset,
  counts: Float64Array,
  random: Random,
): EvaluationReport['breakdowns'] {
  const { cases } = answered;
  const measure = (by: EvaluationReport['breakdowns'][number]['by'], groups: CaseGroup[]) => ({
    by,
    groups: groups.map((group) => measureGroup(answered, group, random.fork(by))),
  });
  const previous = previousTimes(dataset, cases);
  return [
    measure('history_length', byHistoryLength(historiesOf(cases))),
    measure('target_popularity', byTargetPopularity(cases.target, counts)),
    ...(previous === null ? [] : [measure('day', byDay(cases.times!, previous))]),
  ];
}

/** Events known of somebody. */
const COLD_EVENTS = [0, 1, 2, 3, 5];
/** One standard error of NDCG@10 is .002 by then. */
const COLD_CASES = 10_000;

export interface ColdInput {
  readonly split: Split;
  readonly numItems: number;
  readonly scorers: readonly ReportScorer[];
  /** Whether the model was trained on a case's target. */
  readonly trainedOn: (cases: EvaluationCases, c: number) => boolean;
  readonly random: Random;
}

/** Quality for somebody of whom only so many events are known. */
export function coldStart(input: ColdInput): EvaluationReport['coldStart'] {
  const { split, numItems, scorers, trainedOn, random } = input;
  return COLD_EVENTS.map((events) => {
    const found = split.casesKnowing(events);
    const untrained = (c: number) => !trainedOn(found, c);
    // Drawn alike for every number of events, so that the same cases are asked where they can be.
    const cases = limitCases(found, COLD_CASES, random.fork('cases'), untrained);
    const all = {
      name: String(events),
      label: events === 1 ? '1 event known' : `${events} events known`,
      cases: Int32Array.from(cases.target.keys()),
    };
    const usable = usersOf(cases) >= MIN_USERS;
    const answered = usable
      ? answerCases(scorers, cases, numItems)
      : { cases, answers: [], lists: null };
    return { events, group: measureGroup(answered, all, random.fork('draws')) };
  });
}
