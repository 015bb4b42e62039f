/**
 * A wait that ends early: by being woken, or for good by being stopped. A wake that comes while nobody
 * waits is kept for the next wait, so none is lost between looking and waiting.
 */
export interface Signal {
  readonly stopped: boolean;
  /** Resolves when stopped. */
  readonly end: Promise<void>;
  wake(): void;
  stop(): void;
  /** Forgets wakes so far; call before looking for work. */
  clear(): void;
  /** Until woken, stopped, or `ms` have passed. */
  wait(ms: number): Promise<void>;
  /** Until stopped, or `ms` have passed; wakes do not shorten it. */
  pause(ms: number): Promise<void>;
}

export function createSignal(): Signal {
  let woken = false;
  let stopped = false;
  let wakeWaiter: (() => void) | null = null;
  let endPause: (() => void) | null = null;
  let resolveEnd: () => void = () => undefined;
  const end = new Promise<void>((resolve) => (resolveEnd = resolve));

  const timed = (ms: number, register: (finish: () => void) => void, unregister: () => void) =>
    new Promise<void>((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        unregister();
        resolve();
      };
      const timer = setTimeout(finish, ms);
      register(finish);
    });

  return {
    get stopped() {
      return stopped;
    },
    end,
    wake: () => {
      woken = true;
      wakeWaiter?.();
    },
    stop: () => {
      stopped = true;
      wakeWaiter?.();
      endPause?.();
      resolveEnd();
    },
    clear: () => {
      woken = false;
    },
    wait: async (ms) => {
      if (woken || stopped) return;
      await timed(
        ms,
        (finish) => (wakeWaiter = finish),
        () => (wakeWaiter = null),
      );
    },
    pause: async (ms) => {
      if (stopped) return;
      await timed(
        ms,
        (finish) => (endPause = finish),
        () => (endPause = null),
      );
    },
  };
}
