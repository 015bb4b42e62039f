/** The life of a serving process: start, wait for Ctrl-C or SIGTERM, stop in order, within a limit. */
import { Interrupted, isError } from '@nestrec/errors';
import { SHUTDOWN_LIMIT_MS } from '@nestrec/runtime';
import type { RunningServer } from './all-in-one.js';
import { listenForInterruption } from './interruption.js';
import type { Output } from './output.js';
import type { Platform } from './platform.js';

/** What a start needs besides its own work: when to give up, and whom to tell of the server it began. */
export interface StartContext {
  readonly signal: AbortSignal;
  /** Hands the server over as soon as it runs, so that it is stopped also where the start fails later. */
  readonly started: (server: RunningServer) => void;
}

/**
 * Runs `start`, then serves until a signal comes; the server and the platform are closed whatever happens.
 * A signal during `start` aborts what listens to it and ends just as cleanly.
 */
export async function serveUntilInterrupted(
  platform: Platform,
  output: Output,
  start: (context: StartContext) => Promise<void>,
): Promise<void> {
  const interruption = listenForInterruption();
  let server = null as RunningServer | null;
  try {
    await start({
      signal: interruption.signal,
      started: (one) => {
        server = one;
      },
    });
    await interruption.interrupted;
    output.note('Stopping ...');
  } catch (error) {
    const { signal } = interruption;
    if (!signal.aborted || !(isError(error, Interrupted) || error === signal.reason)) throw error;
    output.note('Interrupted; the next start goes on from here.');
  } finally {
    const timer = setTimeout(() => process.exit(1), SHUTDOWN_LIMIT_MS);
    timer.unref();
    await server?.stop();
    await platform.close();
    interruption.dispose();
  }
}
