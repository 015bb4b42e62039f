/** What the lists of ten are like: coverage, popularity, diversity, for every scorer on the same cases. */
import type { EvaluationReport } from '@nestrec/contracts';
import {
  measureLists,
  normaliseRows,
  resampleByGroup,
  type ListContext,
} from '@nestrec/evaluation';
import type { Random } from '@nestrec/random';
import type { TrainedModel } from '../trained-model.js';
import type { AnsweredCases } from './answered-cases.js';

export interface ListsInput {
  readonly answered: AnsweredCases;
  /** Training events by item. */
  readonly counts: Float64Array;
  readonly model: TrainedModel;
  readonly text: { readonly vectors: Float32Array; readonly width: number } | null;
  readonly random: Random;
}

export function listFigures(input: ListsInput): EvaluationReport['lists'] {
  const { answered, counts, random } = input;
  const { cases, answers, lists } = answered;
  const { of, length } = lists!;
  const context: ListContext = { length, counts, ...likenessOf(input) };
  const measured = answers.map((answer) => measureLists(answer.lists!, context));
  const columns = measured.flatMap(({ popularity, diversity }) => [popularity, diversity]);
  const taken = Float64Array.from(of, (c) => counts[cases.target[c]!]!);
  const users = of.map((c) => cases.user[c]!);
  const draws = random.fork('lists');
  const resamples = resampleByGroup([...columns, taken], users, {
    uniform: () => draws.uniform(),
  });
  return {
    targetPopularity: resamples.estimate(columns.length),
    scorers: answers.map(({ scorer, dim }, a) => ({
      ...{ scorer, dim, coverage: measured[a]!.coverage, gini: measured[a]!.gini },
      popularity: resamples.estimate(2 * a),
      diversity: resamples.estimate(2 * a + 1),
    })),
  };
}

/** Vectors of the items that stand in any list: of their texts, else the model's own. */
function likenessOf({
  answered,
  counts,
  model,
  text,
}: ListsInput): Pick<ListContext, 'vectors' | 'width' | 'rowOf'> {
  const rowOf = new Int32Array(counts.length).fill(-1);
  for (const { lists } of answered.answers) for (const item of lists!) rowOf[item] = 0;
  rowOf[0] = -1;
  let rows = 0;
  rowOf.forEach((row, item) => {
    if (row === 0) rowOf[item] = rows++;
  });
  const width = text?.width ?? model.config.sizes.at(-1)!;
  const gathered = new Float32Array(rows * width);
  const gather = (vectors: Float32Array, first: number) => {
    for (let at = 0; at < vectors.length; at += width) {
      const row = rowOf[first + at / width]!;
      if (row >= 0) gathered.set(vectors.subarray(at, at + width), row * width);
    }
  };
  if (text === null) model.overItems(gather);
  else gather(text.vectors, 1);
  return { vectors: normaliseRows(gathered, width), width, rowOf };
}
