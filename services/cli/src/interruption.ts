/** Ctrl-C and SIGTERM for commands that work for long: they stop at the next safe point. */
import { Interrupted } from '@nestrec/errors';
import { renderError, type Output } from './output.js';

export interface Interruption {
  readonly signal: AbortSignal;
  /** Resolves when the first signal comes. */
  readonly interrupted: Promise<void>;
  dispose(): void;
}

/** The first signal aborts; a second one ends the process at once with 130. */
export function listenForInterruption(): Interruption {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return {
    signal: controller.signal,
    interrupted: new Promise((resolve) => {
      controller.signal.addEventListener('abort', () => resolve(), { once: true });
    }),
    dispose: () => {
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
    },
  };
}

/**
 * Ends a command that has no safe point of its own: everything it writes is whole or not at all, so the
 * same command again goes on or repeats nothing. Leaves commands that listen themselves alone.
 */
export function endOnSignals(output: Output): () => void {
  const end = (signal: NodeJS.Signals) => {
    if (process.listenerCount(signal) > 1) return;
    const { text, json, exitCode } = renderError(
      new Interrupted({ detail: 'Stopped by a signal; run the same command again.' }),
    );
    output.restoreTerminal();
    output.note(text);
    output.failure(json);
    process.exit(exitCode);
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  return () => {
    process.off('SIGINT', end);
    process.off('SIGTERM', end);
  };
}
