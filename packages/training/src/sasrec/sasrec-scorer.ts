/** A trained SASRec as a scorer of cases, under the name `sasrec-<width>`. */
import type { CaseScorer } from '@nestrec/evaluation';
import { createSasrec, SASREC_ITEMS } from '@nestrec/model';
import { disposeTensors } from '@nestrec/tensor';
import { tableScorer } from '../vector-scorer.js';
import { sasrecQueries } from './sasrec-queries.js';
import type { TrainedSasrec } from './train-sasrec.js';

/** Keeps plain arrays; what it puts on the backend to answer it takes off again. */
export function sasrecScorer({
  config,
  parameters,
}: Pick<TrainedSasrec, 'config' | 'parameters'>): CaseScorer {
  const { width } = config;
  // Row 0 is the beginning of a sequence, which is never recommended.
  const table = parameters.get(SASREC_ITEMS)!.data.subarray(width);
  return tableScorer(`sasrec-${width}`, table, width, (histories) => {
    const network = createSasrec(config);
    const variables = network.createParameters(parameters);
    try {
      return sasrecQueries(network, variables, histories);
    } finally {
      disposeTensors(variables);
      network.dispose();
    }
  });
}
