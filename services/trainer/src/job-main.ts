/**
 * A training process: gets one job over IPC, does it, says how it ended, and ends. It ends as well where its
 * parent is gone, since nobody keeps the lease then.
 */
import { openPostgres, openRemoteDatabase, type Database } from '@nestrec/database';
import { createLogger, type LogLevel } from '@nestrec/runtime';
import { isBackendName, selectBackend } from '@nestrec/tensor';
import { lowerPriority } from './beside-serving.js';
import { gitCommit } from './git-commit.js';
import type { ChildMessage, JobResult, JobSettings, ParentMessage, TrainingJob } from './job.js';
import { failureOf, runTrainingJob } from './training-job.js';

/** Connections: reading, publishing, and one to spare. */
const CONNECTIONS = 4;

const controller = new AbortController();
const send = (message: ChildMessage, sent: () => void = () => undefined) =>
  process.send?.(message, sent);
/** Answers of the database that the parent holds, where it does. */
let databaseAnswers: (message: unknown) => void = () => undefined;

async function open(settings: JobSettings): Promise<Database> {
  if (settings.databaseUrl === null) {
    return openRemoteDatabase({
      post: (database) => void send({ database }),
      onMessage: (take) => {
        databaseAnswers = take;
      },
    });
  }
  return openPostgres({
    url: settings.databaseUrl,
    applicationName: 'nestrec-training',
    max: CONNECTIONS,
    allowUnsafeDurability: settings.allowUnsafeDurability,
    logger: loggerOf(settings),
  });
}

const loggerOf = (settings: JobSettings) =>
  createLogger({ name: 'nestrec-training', level: settings.logLevel as LogLevel });

async function work(job: TrainingJob): Promise<void> {
  const { settings } = job;
  const { signal } = controller;
  const report = (progress: { stage: string; share: number | null; note?: string }) =>
    void send({ progress });
  let result: JobResult;
  try {
    // Before the backend makes its threads, which take it over.
    lowerPriority(settings.trainNice);
    const { backend } = settings;
    const chosen = await selectBackend({
      force: backend !== null && isBackendName(backend) ? backend : undefined,
      cacheFolder: settings.cacheDir,
    });
    report({ stage: 'Starting', share: null, note: chosen.line });
    const db = await open(settings);
    const context = { db, signal, report, logger: loggerOf(settings), commit: gitCommit() };
    result = await runTrainingJob(context, job).finally(() => db.close());
  } catch (error) {
    result = failureOf(error);
  }
  send({ result }, () => process.exit(0));
}

process.on('message', (message: ParentMessage) => {
  if ('job' in message) void work(message.job);
  else if ('database' in message) databaseAnswers(message.database);
  else controller.abort();
});
process.on('disconnect', () => process.exit(1));
// A signal to the whole group is the parent's to handle: it says when to stop.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
