/** Refuses to train where nothing could be learned or judged, with the numbers that say why. */
import type { ModelConfig } from '@nestrec/contracts';
import type { EvaluationCases, Histories } from '@nestrec/dataset';
import { InsufficientData, InvalidModelConfig } from '@nestrec/errors';

const LEAST_USERS = 2;
const LEAST_ITEMS = 2;

/** @throws InsufficientData, or InvalidModelConfig where config and data contradict each other. */
export function checkData(
  config: Pick<ModelConfig, 'numItems' | 'featureWidth'>,
  train: Histories,
  validation: EvaluationCases,
  features: Float32Array,
): void {
  if (features.length !== config.numItems * config.featureWidth) {
    throw new InvalidModelConfig({
      detail:
        `got ${features.length} feature numbers, wanted ${config.numItems} items x ` +
        `${config.featureWidth}; encode the same items that the model is configured for`,
    });
  }
  let users = 0;
  let highest = 0;
  const items = new Set<number>();
  for (const history of train) {
    if (history.length > 0) users++;
    for (const item of history) {
      items.add(item);
      highest = Math.max(highest, item);
    }
  }
  if (highest > config.numItems) {
    throw new InvalidModelConfig({
      detail: `the data name item ${highest}, the model is configured for ${config.numItems} items`,
    });
  }
  const have =
    `${train.events} training events of ${users} users and ${items.size} items, ` +
    `${validation.target.length} validation cases`;
  if (users < LEAST_USERS || items.size < LEAST_ITEMS) {
    throw new InsufficientData({
      detail: `got ${have}; wanted at least ${LEAST_USERS} users and ${LEAST_ITEMS} items: import more events`,
    });
  }
  if (validation.target.length === 0) {
    throw new InsufficientData({
      detail:
        `got ${have}; wanted at least one validation case: leave-one-out needs a user with three ` +
        'events, a temporal split events after its cut',
    });
  }
}
