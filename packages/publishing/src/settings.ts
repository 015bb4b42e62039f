/** What operators set of publishing; every process that publishes takes it. */
import { choiceSetting, integerSetting } from '@nestrec/runtime';
import { KEPT_PREVIOUS } from './clean-up.js';
import { SHORTLIST_FORMS } from './plan-options.js';

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
  shortlistForm: choiceSetting({
    env: 'NESTREC_SHORTLIST_INDEX',
    choices: SHORTLIST_FORMS,
    default: 'halfvec',
    description:
      'What the indexes hold that shortlists are made by (plans staged, bound and auto above 64 dimensions): halves of numbers, whole ones, single bits (least bytes, longer shortlists), or halves with one more coordinate that makes the inner product a distance',
  }),
};
