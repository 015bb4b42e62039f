/**
 * How far states have come, and who waits for it: the read-your-events seam behind `?after=TOKEN`.
 *
 * Knows only offsets that this process applied (or found in the database when it started).
 */
export interface LogPosition {
  readonly partition: number;
  readonly offset: bigint;
}

interface Waiter {
  readonly positions: readonly LogPosition[];
  settle(reached: boolean): void;
}

export interface Progress {
  /** Next offset to be applied, by partition. */
  appliedUpTo(): ReadonlyMap<number, bigint>;
  /** Resolves true once every position is applied, false when `timeoutMs` ran out first. */
  waitFor(positions: readonly LogPosition[], timeoutMs: number): Promise<boolean>;
  /** Says that everything below `nextOffset` is applied. Never goes back. */
  advance(partition: number, nextOffset: bigint): void;
  /** Answers all waiters with false. */
  close(): void;
}

export function createProgress(): Progress {
  const next = new Map<number, bigint>();
  const waiters = new Set<Waiter>();
  let closed = false;
  const reached = (positions: readonly LogPosition[]) =>
    positions.every(({ partition, offset }) => (next.get(partition) ?? 0n) > offset);
  return {
    appliedUpTo: () => next,
    waitFor: (positions, timeoutMs) => {
      if (reached(positions)) return Promise.resolve(true);
      if (closed || timeoutMs <= 0) return Promise.resolve(false);
      return new Promise((resolve) => {
        const waiter: Waiter = {
          positions,
          settle: (result) => {
            clearTimeout(timer);
            waiters.delete(waiter);
            resolve(result);
          },
        };
        const timer = setTimeout(() => waiter.settle(false), timeoutMs);
        waiters.add(waiter);
      });
    },
    advance: (partition, nextOffset) => {
      if (nextOffset <= (next.get(partition) ?? 0n)) return;
      next.set(partition, nextOffset);
      for (const waiter of waiters) if (reached(waiter.positions)) waiter.settle(true);
    },
    close: () => {
      closed = true;
      for (const waiter of waiters) waiter.settle(false);
    },
  };
}
