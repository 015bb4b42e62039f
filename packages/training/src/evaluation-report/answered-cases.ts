/** Cases with the answers of all scorers: what every figure of a report is made of. */
import type { EvaluationCases } from '@nestrec/dataset';
import type { Answers, WantedLists } from '@nestrec/evaluation';
import type { Random } from '@nestrec/random';
import { askedOf, chooseCases } from '../seen-items.js';
import type { ReportScorer } from './report-scorers.js';

/** Answers under one name, with what the name stands for. */
export type ReportAnswers = Answers & Pick<ReportScorer, 'kind' | 'about'>;

export interface AnsweredCases {
  readonly cases: EvaluationCases;
  readonly answers: readonly ReportAnswers[];
  /** The cases whose answers hold lists. */
  readonly lists: WantedLists | null;
}

export function answerCases(
  scorers: readonly ReportScorer[],
  cases: EvaluationCases,
  numItems: number,
  lists: WantedLists | null = null,
): AnsweredCases {
  const asked = askedOf(cases, numItems);
  const answers = scorers.flatMap(({ kind, about, scorer }) =>
    scorer.answer(asked, lists).map((answer) => ({ ...answer, kind, about })),
  );
  return { cases, answers, lists };
}

/** Indexes of at most `most` of `count` cases, drawn by `random`, ascending. */
export function sampleIndexes(count: number, most: number, random: Random): Int32Array {
  const indexes = Int32Array.from({ length: count }, (_, c) => c);
  return count <= most ? indexes : random.shuffle(indexes).subarray(0, most).sort();
}

/** The cases for which `wanted` holds, at most `most` of them. */
export function limitCases(
  cases: EvaluationCases,
  most: number,
  random: Random,
  wanted: (c: number) => boolean = () => true,
): EvaluationCases {
  const usable = Int32Array.from(cases.target.keys()).filter(wanted);
  const drawn = sampleIndexes(usable.length, most, random);
  return chooseCases(
    cases,
    drawn.map((i) => usable[i]!),
  );
}

export const usersOf = (cases: EvaluationCases, of?: Int32Array): number =>
  new Set(of === undefined ? cases.user : of.map((c) => cases.user[c]!)).size;
