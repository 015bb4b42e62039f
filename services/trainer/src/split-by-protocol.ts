/** The two evaluation protocols of nestrec, with the shares that a global temporal split holds out. */
import type { QualityRow } from '@nestrec/contracts';
import {
  splitLeaveOneOut,
  splitTemporal,
  type SequenceDataset,
  type Split,
  type TemporalCuts,
} from '@nestrec/dataset';

const TEMPORAL_SHARES = { validationFraction: 0.1, testFraction: 0.1 };
/**
 * A report asks no more than this of either part, a seeded sample: memory and time would grow with the
 * events, and one standard error of NDCG@10 is about .001 by then.
 */
const SAMPLING = { maxCases: 100_000 };

/** @param cuts of a temporal split that is to be made again; default: by the usual shares. */
export function splitByProtocol(
  protocol: QualityRow['protocol'],
  dataset: SequenceDataset,
  cuts: TemporalCuts = TEMPORAL_SHARES,
): Split {
  return protocol === 'temporal'
    ? splitTemporal(dataset, cuts, SAMPLING)
    : splitLeaveOneOut(dataset, SAMPLING);
}
