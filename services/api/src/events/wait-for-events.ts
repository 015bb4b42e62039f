/**
 * Waits until states hold what tokens name, by asking how far the consumer of the log has come. Ingest may run
 * in another process, so the stored positions are the only common ground.
 *
 * All who wait share one question, which is asked every few milliseconds while anybody does: the database
 * answers as often for a thousand of them as for one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LogPosition, WaitForEvents } from '../deps.js';

const PAUSE_MS = 10;

interface Waiter {
  readonly positions: readonly LogPosition[];
  readonly endMs: number;
  settle(end: () => void): void;
  resolve(reached: boolean): void;
  reject(error: unknown): void;
}

/**
 * @param nextOffsets first offset of each partition that is not applied yet
 * @param nowMs monotonic milliseconds
 */
export function createEventWaiter(
  nextOffsets: () => Promise<ReadonlyMap<number, bigint>>,
  nowMs: () => number = () => performance.now(),
): WaitForEvents {
  const waiters = new Set<Waiter>();
  let asking = false;

  /** One answer for all who wait now. */
  const ask = async () => {
    const asked = [...waiters];
    try {
      const next = await nextOffsets();
      for (const one of asked) {
        if (areApplied(one.positions, next)) one.settle(() => one.resolve(true));
        else if (nowMs() >= one.endMs) one.settle(() => one.resolve(false));
      }
    } catch (error) {
      for (const one of asked) one.settle(() => one.reject(error));
    }
  };
  const askWhileWaited = async () => {
    if (asking) return;
    asking = true;
    while (waiters.size > 0) {
      await ask();
      if (waiters.size > 0) await sleep(PAUSE_MS);
    }
    asking = false;
  };

  return (positions, timeoutMs) =>
    new Promise((resolve, reject) => {
      const waiter: Waiter = {
        ...{ positions, resolve, reject, endMs: nowMs() + timeoutMs },
        settle: (end) => {
          waiters.delete(waiter);
          end();
        },
      };
      waiters.add(waiter);
      void askWhileWaited();
    });
}

function areApplied(positions: readonly LogPosition[], next: ReadonlyMap<number, bigint>): boolean {
  return positions.every(({ partition, offset }) => (next.get(partition) ?? 0n) > offset);
}
