/**
 * Leave-one-out split: the last event of every user is the test target, the one before the validation
 * target, the rest training. The protocol of published comparisons; it lets training see other users'
 * future, so the temporal split is the honest figure for real use.
 */
import { casesAt, CaseSample, shortened, trainPrefixes, type CaseSampling } from './cases.js';
import type { SequenceDataset, Split } from './types.js';

const MIN_EVENTS = 3;

/**
 * Users with fewer than three events stay in training whole and are never asked about. The history of a
 * test case includes the validation item.
 */
export function splitLeaveOneOut(dataset: SequenceDataset, sampling: CaseSampling = {}): Split {
  const users = dataset.offsets.length - 1;
  const lengthOf = (u: number) => dataset.offsets[u + 1]! - dataset.offsets[u]!;
  const isAsked = (u: number) => lengthOf(u) >= MIN_EVENTS;
  const train = trainPrefixes(dataset, (u) => lengthOf(u) - (isAsked(u) ? 2 : 0));
  const validation = new CaseSample('validation', sampling);
  const test = new CaseSample('test', sampling);
  for (let u = 0; u < users; u++) {
    if (!isAsked(u)) continue;
    validation.add(dataset.offsets[u + 1]! - 2);
    test.add(dataset.offsets[u + 1]! - 1);
  }
  const sampled = { validation: validation.finish(dataset), test: test.finish(dataset) };
  return {
    protocol: 'leave-one-out',
    train,
    cases: (part) => casesAt(dataset, sampled[part]),
    casesKnowing: (events) => shortened(casesAt(dataset, sampled.test), events),
    report: {
      protocol: 'leave-one-out',
      users,
      trainEvents: train.events,
      validationCases: sampled.validation.length,
      testCases: sampled.test.length,
      usersOnlyInTraining: users - test.candidates,
      unknownItems: new Int32Array(0),
      droppedUnknownEvents: 0,
      droppedShortHistory: 0,
      droppedBySample: 2 * test.candidates - sampled.validation.length - sampled.test.length,
      validationFromMs: null,
      testFromMs: null,
    },
  };
}
