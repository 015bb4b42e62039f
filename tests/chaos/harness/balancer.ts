/**
 * A load balancer as small as one can be: asks every process for its readiness now and then, gives requests to
 * those that are ready in turn, and tries nothing twice. Its clients see every fault.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChaosContext } from './context.js';
import { send, type Target } from './http.js';

/** What the drain of a process has to outlast. */
export const PROBE_EVERY_MS = 250;

export interface Balancer<T extends Target> {
  /** Takes it in; it gets requests once it is ready. */
  add(target: T): void;
  /** Forgets one that is gone. */
  remove(target: T): void;
  isReady(target: T): boolean;
  /** Whose turn it is; null where nobody is ready. */
  next(): T | null;
}

export function startBalancer<T extends Target>(context: ChaosContext): Balancer<T> {
  const known = new Map<T, boolean>();
  let ready: readonly T[] = [];
  let turn = 0;
  let running = true;
  const probe = async (target: T) => {
    const { status } = await send(target, 'GET', '/readyz');
    if (known.has(target)) known.set(target, status === 200);
    ready = [...known].filter(([, isReady]) => isReady).map(([one]) => one);
  };
  const loop = (async () => {
    while (running) {
      for (const target of known.keys()) void probe(target);
      await sleep(PROBE_EVERY_MS);
    }
  })();
  context.defer(async () => {
    running = false;
    await loop;
  });
  return {
    add: (target) => void known.set(target, false),
    remove: (target) => {
      known.delete(target);
      ready = ready.filter((one) => one !== target);
    },
    isReady: (target) => known.get(target) === true,
    next: () => ready[(turn += 1) % ready.length] ?? null,
  };
}
