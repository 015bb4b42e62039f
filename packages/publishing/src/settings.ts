/** What operators set of publishing; every process that publishes takes it. */
import { integerSetting } from '@nestrec/runtime';
import { KEPT_PREVIOUS } from './clean-up.js';

export const publishingSettings = {
  keepVersions: integerSetting({
    env: 'NESTREC_KEEP_VERSIONS',
    default: KEPT_PREVIOUS,
    min: 1,
    max: 999,
    description:
      'Versions besides the published one whose item vectors stay, so that they can be gone back to at once; a publish drops those of older ones',
    unit: 'versions',
  }),
};
