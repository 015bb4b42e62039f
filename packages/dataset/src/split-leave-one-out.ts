/**
 * Leave-one-out split: the last event of every user is the test target, the one before the validation
 * target, the rest training. The protocol of published comparisons; it lets training see other users'
 * future, so the temporal split is the honest figure for real use.
 */
import { caseBuilder, sampleCases, trainPrefixes, type CaseSampling } from './cases.js';
import type { EvaluationPart, SequenceDataset, Split } from './types.js';

const MIN_EVENTS = 3;

/**
 * Users with fewer than three events stay in training whole and are never asked about. The history of a
 * test case includes the validation item.
 */
export function splitLeaveOneOut(dataset: SequenceDataset, sampling: CaseSampling = {}): Split {
  const users = dataset.offsets.length - 1;
  const lengthOf = (u: number) => dataset.offsets[u + 1]! - dataset.offsets[u]!;
  const asked: number[] = [];
  for (let u = 0; u < users; u++) if (lengthOf(u) >= MIN_EVENTS) asked.push(u);
  const train = trainPrefixes(dataset, (u) => lengthOf(u) - (lengthOf(u) >= MIN_EVENTS ? 2 : 0));
  const sampled = {
    validation: sampleCases(Int32Array.from(asked), 'validation', sampling),
    test: sampleCases(Int32Array.from(asked), 'test', sampling),
  };
  const cases = (part: EvaluationPart) => {
    const builder = caseBuilder();
    for (const u of sampled[part]) {
      const target = dataset.offsets[u + 1]! - (part === 'test' ? 1 : 2);
      builder.add(u, dataset.items.subarray(dataset.offsets[u]!, target), dataset.items[target]!);
    }
    return builder.finish();
  };
  return {
    protocol: 'leave-one-out',
    train,
    cases,
    report: {
      protocol: 'leave-one-out',
      users,
      trainEvents: train.items.length,
      validationCases: sampled.validation.length,
      testCases: sampled.test.length,
      usersOnlyInTraining: users - asked.length,
      unknownItems: new Int32Array(0),
      droppedUnknownEvents: 0,
      droppedShortHistory: 0,
      droppedBySample: 2 * asked.length - sampled.validation.length - sampled.test.length,
      validationFromMs: null,
      testFromMs: null,
    },
  };
}
