/** How late the event loop is, by Node's own histogram. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

export interface LoopDelay {
  /** Mean delay since the last call, ms; 0 where nothing was measured. */
  read(): number;
  stop(): void;
}

const RESOLUTION_MS = 20;
const NS_PER_MS = 1e6;

export function createLoopDelay(): LoopDelay {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  return {
    read: () => {
      // What is recorded is the time between two ticks, so the pause that was asked for is part of it.
      const meanMs = histogram.count === 0 ? RESOLUTION_MS : histogram.mean / NS_PER_MS;
      histogram.reset();
      return Math.max(0, meanMs - RESOLUTION_MS);
    },
    stop: () => histogram.disable(),
  };
}
