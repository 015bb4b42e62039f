/** Settings of the command line and the all-in-one process; `.env.example` is made from them. */
import { apiConfig } from '@nestrec/api';
import { databaseSettings } from '@nestrec/database';
import { EVENTS_IN_MEMORY } from '@nestrec/dataset';
import { applySettings } from '@nestrec/ingest';
import {
  choiceSetting,
  integerSetting,
  LOG_LEVELS,
  textSetting,
  type Config,
} from '@nestrec/runtime';
import { BACKENDS } from '@nestrec/tensor';

export const cliSettings = {
  dataDir: textSetting({
    env: 'NESTREC_DATA_DIR',
    default: '.nestrec',
    want: 'a folder, absolute or relative to the working directory',
    description: 'Where the embedded database, the models and the rejects lie',
  }),
  ...apiConfig,
  databaseUrl: databaseSettings.databaseUrl,
  ...applySettings,
  backend: choiceSetting({
    env: 'NESTREC_BACKEND',
    choices: BACKENDS,
    default: null,
    description: 'TensorFlow.js backend of training; unset takes the fastest as measured',
  }),
  eventsInMemory: integerSetting({
    env: 'NESTREC_EVENTS_IN_MEMORY',
    default: EVENTS_IN_MEMORY,
    min: 0,
    max: 2 ** 31 - 1,
    description:
      'Events that training keeps in memory, 12 bytes each; where there are more, all go to a file of that size in the data folder',
    unit: 'events',
  }),
  trainWorkers: integerSetting({
    env: 'NESTREC_TRAIN_WORKERS',
    default: null,
    min: 1,
    max: 64,
    description:
      'Threads that share each training step on native, wasm and cpu; unset takes one per core, on wasm and cpu where the step is large enough',
  }),
  trainNice: integerSetting({
    env: 'NESTREC_TRAIN_NICE',
    default: 10,
    min: 0,
    max: 19,
    description:
      'How far training steps back behind other processes of the machine (nice); 0 not at all',
  }),
  // Commands speak for themselves: their logs are for what went wrong.
  logLevel: choiceSetting({
    env: 'NESTREC_LOG_LEVEL',
    choices: LOG_LEVELS,
    default: 'warn',
    description: apiConfig.logLevel.description,
  }),
  demoScale: choiceSetting({
    env: 'NESTREC_DEMO_SCALE',
    choices: ['full', 'small'],
    default: 'full',
    description: 'Size of the shop that `npm start` generates; small takes seconds, for tests',
  }),
};

export type CliConfig = Config<typeof cliSettings>;
