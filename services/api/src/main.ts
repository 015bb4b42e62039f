/** Starts the API as a process of its own: reads the environment, and nothing else. */
import { NestrecError } from '@nestrec/errors';
import { createLogger, createShutdown, loadConfig, stopOnSignals } from '@nestrec/runtime';
import { apiConfig } from './config.js';
import { runApi } from './run.js';

try {
  const config = loadConfig(apiConfig, process.env);
  const logger = createLogger({ name: 'nestrec-api', level: config.logLevel });
  const shutdown = createShutdown(logger);
  stopOnSignals(shutdown, logger);
  const api = await runApi(config, logger);
  shutdown.add('api', api.stop);
  logger.info({ url: api.url }, 'listening');
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(error instanceof NestrecError ? error.traits.exitCode : 1);
}
