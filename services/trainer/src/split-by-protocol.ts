/** The two evaluation protocols of nestrec, with the shares that a global temporal split holds out. */
import type { QualityRow } from '@nestrec/contracts';
import {
  splitLeaveOneOut,
  splitTemporal,
  type SequenceDataset,
  type Split,
} from '@nestrec/dataset';

const TEMPORAL_SHARES = { validationFraction: 0.1, testFraction: 0.1 };

export function splitByProtocol(protocol: QualityRow['protocol'], dataset: SequenceDataset): Split {
  return protocol === 'temporal'
    ? splitTemporal(dataset, TEMPORAL_SHARES)
    : splitLeaveOneOut(dataset);
}
