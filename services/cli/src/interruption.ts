/** Ctrl-C and SIGTERM for commands that work for long: they stop at the next safe point. */

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
