/** Settings of the command line and the all-in-one process; `.env.example` is made from them. */
import {
  choiceSetting,
  integerSetting,
  LOG_LEVELS,
  textSetting,
  type Config,
} from '@nestrec/runtime';

export const cliSettings = {
  dataDir: textSetting({
    env: 'NESTREC_DATA_DIR',
    default: '.nestrec',
    want: 'a folder, absolute or relative to the working directory',
    description: 'Where the embedded database, the models and the rejects lie',
  }),
  databaseUrl: textSetting({
    env: 'DATABASE_URL',
    default: null,
    secret: true,
    want: 'postgres://user:password@host:port/database',
    pattern: /^postgres(ql)?:\/\/\S+$/,
    description: 'PostgreSQL with pgvector instead of the embedded database',
  }),
  host: textSetting({
    env: 'HOST',
    default: '127.0.0.1',
    description: 'Address that the API listens on; 0.0.0.0 for every interface',
  }),
  port: integerSetting({
    env: 'PORT',
    default: 8080,
    min: 1,
    max: 65_535,
    description: 'Port that the API listens on',
  }),
  backend: choiceSetting({
    env: 'NESTREC_BACKEND',
    choices: ['tensorflow-gpu', 'tensorflow', 'wasm', 'cpu'],
    default: null,
    description: 'TensorFlow.js backend of training; unset takes the fastest that loads',
  }),
  logLevel: choiceSetting({
    env: 'NESTREC_LOG_LEVEL',
    choices: LOG_LEVELS,
    default: 'warn',
    description: 'Least severe log line that is written to standard error',
  }),
  demoScale: choiceSetting({
    env: 'NESTREC_DEMO_SCALE',
    choices: ['full', 'small'],
    default: 'full',
    description: 'Size of the shop that `npm start` generates; small takes seconds, for tests',
  }),
};

export type CliConfig = Config<typeof cliSettings>;
