/**
 * Orderly end of a process: steps run once, in the reverse order of their registration, within a limit.
 *
 * The first signal starts it; a second one, or the limit, ends the process at once with code 1.
 */
import type { Logger } from './logger.js';

export const SHUTDOWN_LIMIT_MS = 10_000;

export interface Shutdown {
  /** Adds a step; the last added runs first. */
  add(name: string, step: () => Promise<void> | void): void;
  /** Runs all steps once; later calls give the same promise. Resolves to the names of failed steps. */
  run(reason: string): Promise<string[]>;
  readonly started: boolean;
}

export function createShutdown(logger: Logger): Shutdown {
  const steps: { name: string; step: () => Promise<void> | void }[] = [];
  let running: Promise<string[]> | null = null;
  const runSteps = async (reason: string) => {
    logger.info({ reason }, 'stopping');
    const failed: string[] = [];
    for (const { name, step } of steps.reverse()) {
      try {
        await step();
      } catch (error) {
        failed.push(name);
        logger.error({ err: error, step: name }, 'a step of the shutdown failed');
      }
    }
    return failed;
  };
  return {
    add: (name, step) => {
      steps.push({ name, step });
    },
    run: (reason) => (running ??= runSteps(reason)),
    get started() {
      return running !== null;
    },
  };
}

/** Ends this process by `shutdown` on SIGINT and SIGTERM, and on faults that nobody caught. */
export function stopOnSignals(shutdown: Shutdown, logger: Logger): void {
  const stop = (reason: string, exitCode: number) => {
    if (shutdown.started) process.exit(1);
    const timer = setTimeout(() => process.exit(1), SHUTDOWN_LIMIT_MS);
    timer.unref();
    void shutdown.run(reason).then((failed) => process.exit(failed.length > 0 ? 1 : exitCode));
  };
  process.on('SIGINT', () => stop('SIGINT', 0));
  process.on('SIGTERM', () => stop('SIGTERM', 0));
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      logger.fatal({ err: error }, event);
      stop(event, 1);
    });
  }
}
