/** Locks of `Database.hold` where one process has the database: whoever holds one is in this process, or asks it. */
import type { HeldBy, Hold } from './types.js';

export function createHolds(): (lock: number, holder: string) => Hold | HeldBy {
  const held = new Map<number, string>();
  return (lock, holder) => {
    const heldBy = held.get(lock);
    if (heldBy !== undefined) return { heldBy };
    held.set(lock, holder);
    let released = false;
    return {
      lost: false,
      release: () => {
        if (!released) held.delete(lock);
        released = true;
        return Promise.resolve();
      },
    };
  };
}
