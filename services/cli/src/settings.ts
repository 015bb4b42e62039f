/** Settings of the command line and the all-in-one process; `.env.example` is made from them. */
import { apiConfig } from '@nestrec/api';
import { databaseSettings } from '@nestrec/database';
import { applySettings } from '@nestrec/ingest';
import { choiceSetting, LOG_LEVELS, type Config } from '@nestrec/runtime';
import { dataDirSetting, retrainSettings, trainingSettings } from '@nestrec/trainer';

export const cliSettings = {
  dataDir: dataDirSetting,
  ...apiConfig,
  databaseUrl: databaseSettings.databaseUrl,
  ...applySettings,
  ...trainingSettings,
  ...retrainSettings,
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
