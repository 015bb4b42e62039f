/** Starts the trainer as a process of its own: reads the environment, and nothing else. */
import { NestrecError } from '@nestrec/errors';
import { createLogger, createShutdown, loadConfig, stopOnSignals } from '@nestrec/runtime';
import { trainerConfig } from './config.js';
import { runTrainer } from './run.js';

try {
  const config = loadConfig(trainerConfig, process.env);
  const logger = createLogger({ name: 'nestrec-trainer', level: config.logLevel });
  const shutdown = createShutdown(logger);
  stopOnSignals(shutdown, logger);
  const trainer = await runTrainer(config, logger);
  shutdown.add('trainer', trainer.stop);
  const next = trainer.nextTickMs();
  logger.info(
    { url: trainer.url, next: next === null ? 'no cron' : new Date(next).toISOString() },
    'waiting for training runs',
  );
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(error instanceof NestrecError ? error.traits.exitCode : 1);
}
