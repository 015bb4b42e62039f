/** Starts ingest as a process of its own: reads the environment, and nothing else. */
import { NestrecError } from '@nestrec/errors';
import { createLogger, createShutdown, loadConfig, stopOnSignals } from '@nestrec/runtime';
import { ingestConfig } from './config.js';
import { runIngest } from './run.js';

try {
  const config = loadConfig(ingestConfig, process.env);
  const logger = createLogger({ name: 'nestrec-ingest', level: config.logLevel });
  const shutdown = createShutdown(logger);
  stopOnSignals(shutdown, logger);
  const ingest = await runIngest(config, logger);
  shutdown.add('ingest', ingest.stop);
  logger.info({ url: ingest.url }, 'applying events');
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(error instanceof NestrecError ? error.traits.exitCode : 1);
}
