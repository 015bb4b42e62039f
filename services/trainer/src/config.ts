/** Settings of the trainer as a process of its own (`main.ts`), and those that all who train share. */
import { databaseSettings } from '@nestrec/database';
import { EVENTS_IN_MEMORY } from '@nestrec/dataset';
import {
  choiceSetting,
  integerSetting,
  logSettings,
  textSetting,
  type Config,
} from '@nestrec/runtime';
import { trainingModeSchema } from '@nestrec/contracts';
import { publishingSettings } from '@nestrec/publishing';
import { BACKENDS } from '@nestrec/tensor';
import { cronSetting } from './schedule.js';

/** How training works, also on the command line. */
export const trainingSettings = {
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
};

/** The cron, also of the all-in-one process. */
export const retrainSettings = {
  retrainCron: cronSetting({
    env: 'NESTREC_RETRAIN_CRON',
    description:
      'When a training is queued; unset: never by itself. Read by the trainer, and by `nestrec serve` where the database is the embedded one',
  }),
  retrainMode: choiceSetting({
    env: 'NESTREC_RETRAIN_MODE',
    choices: trainingModeSchema.options,
    default: 'full',
    description:
      'What the cron trains: a new model, the served one further, or its query side only',
  }),
};

export const dataDirSetting = textSetting({
  env: 'NESTREC_DATA_DIR',
  default: '.nestrec',
  want: 'a folder, absolute or relative to the working directory',
  description: 'Where the embedded database, the models and the rejects lie',
});

export const trainerConfig = {
  dataDir: dataDirSetting,
  ...databaseSettings,
  databaseUrl: {
    ...databaseSettings.databaseUrl,
    description: 'PostgreSQL with pgvector; the trainer as a process of its own needs it',
  },
  ...retrainSettings,
  ...trainingSettings,
  ...publishingSettings,
  host: textSetting({
    env: 'HOST',
    default: '127.0.0.1',
    description: 'Address that health and metrics are served on; 0.0.0.0 for every interface',
  }),
  trainerPort: integerSetting({
    env: 'NESTREC_TRAINER_PORT',
    default: 8082,
    min: 1,
    max: 65_535,
    description: 'Port of /healthz, /readyz and /metrics of the trainer',
  }),
  ...logSettings,
};

export type TrainerConfig = Config<typeof trainerConfig>;
