/** Settings of the log of a process, the same in every service. */
import { choiceSetting, textSetting } from './config.js';
import { LOG_LEVELS } from './logger.js';

export const logSettings = {
  logLevel: choiceSetting({
    env: 'NESTREC_LOG_LEVEL',
    choices: LOG_LEVELS,
    default: 'info',
    description: 'Least severe log line that is written to standard error',
  }),
  logHashKey: textSetting({
    env: 'NESTREC_LOG_HASH_KEY',
    default: null,
    secret: true,
    description:
      'Secret of the keyed hash under which user ids are logged; unset: random, so that hashes differ after a restart',
  }),
};
