/**
 * Turns at work that takes much memory: what has room is let in, some wait in the order they came, and more than
 * these are refused at once, before anything of them is read.
 */
import { RateLimited } from '@nestrec/errors';

export interface Turns {
  /**
   * Resolves, when there is room for `size`, to what gives it back. What is larger than all the room gets it
   * alone.
   * @throws RateLimited where too many wait
   */
  take(size?: number): Promise<() => void>;
}

export interface TurnsOptions {
  /** Sum of the sizes that are let in at once. */
  readonly room: number;
  /** How many may wait. */
  readonly waiting: number;
  /** What is worked on, in the plural, as the refused are told. */
  readonly of: string;
  readonly onRefused?: () => void;
}

export function createTurns({ room, waiting, of, onRefused }: TurnsOptions): Turns {
  let taken = 0;
  const queue: { readonly size: number; readonly enter: () => void }[] = [];

  const enter = (size: number) => {
    taken += size;
    return () => {
      taken -= size;
      // In their order: a large one that waits is not overtaken for ever by small ones.
      while (queue.length > 0 && taken + queue[0]!.size <= room) queue.shift()!.enter();
    };
  };
  return {
    take: async (size = 1) => {
      const bounded = Math.min(size, room);
      if (queue.length === 0 && taken + bounded <= room) return enter(bounded);
      if (queue.length >= waiting) {
        onRefused?.();
        throw new RateLimited({
          retryAfterSeconds: 1,
          detail: `As many ${of} as there is room for are worked on and ${waiting} more wait; send fewer at once.`,
        });
      }
      return new Promise((resolve) =>
        queue.push({ size: bounded, enter: () => resolve(enter(bounded)) }),
      );
    },
  };
}
