/**
 * Waits until states hold what a token names, by asking how far the consumer of the log has come. Ingest
 * may run in another process, so the stored positions are the only common ground.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { LogPosition, WaitForEvents } from '../deps.js';

const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 50;

/**
 * @param nextOffsets first offset of each partition that is not applied yet
 * @param nowMs monotonic milliseconds
 */
export function createEventWaiter(
  nextOffsets: () => Promise<ReadonlyMap<number, bigint>>,
  nowMs: () => number = () => performance.now(),
): WaitForEvents {
  return async (positions, timeoutMs) => {
    const endMs = nowMs() + timeoutMs;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      if (areApplied(positions, await nextOffsets())) return true;
      const leftMs = endMs - nowMs();
      if (leftMs <= 0) return false;
      await wait(Math.min(pauseMs, leftMs));
    }
  };
}

function areApplied(positions: readonly LogPosition[], next: ReadonlyMap<number, bigint>): boolean {
  return positions.every(({ partition, offset }) => (next.get(partition) ?? 0n) > offset);
}
