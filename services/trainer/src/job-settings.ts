/** From the settings of a process to those of its training processes. */
import { join, resolve } from 'node:path';
import type { Config } from '@nestrec/runtime';
import type { trainerConfig } from './config.js';
import type { JobSettings } from './job.js';

type Spec = typeof trainerConfig;
/** What of a configuration a training process needs. */
export type TrainingConfig = Config<
  Pick<
    Spec,
    | 'dataDir'
    | 'databaseUrl'
    | 'allowUnsafeDurability'
    | 'backend'
    | 'trainWorkers'
    | 'trainNice'
    | 'eventsInMemory'
    | 'keepVersions'
    | 'shortlistForm'
    | 'logLevel'
  >
>;

/** Artifacts and checkpoints lie where the command line keeps them. */
export function jobSettings(config: TrainingConfig): JobSettings {
  const { databaseUrl, allowUnsafeDurability, backend, trainWorkers, trainNice } = config;
  const { eventsInMemory, keepVersions, shortlistForm } = config;
  const root = resolve(config.dataDir);
  return {
    ...{ databaseUrl, allowUnsafeDurability, backend, trainWorkers, eventsInMemory, keepVersions },
    shortlistForm,
    ...{ modelsDir: join(root, 'models'), checkpointsDir: join(root, 'checkpoints') },
    ...{ trainNice, cacheDir: root, logLevel: config.logLevel },
  };
}
