/**
 * Turns at work that takes much memory: so many at once, some wait, and more than these are refused at once,
 * before anything of them is read.
 */
import { RateLimited } from '@nestrec/errors';

export interface Turns {
  /** Resolves, when it is one's turn, to what ends it. @throws RateLimited where too many wait */
  take(): Promise<() => void>;
}

export function createTurns(atOnce: number, waiting: number): Turns {
  let taken = 0;
  const queue: (() => void)[] = [];
  const end = () => {
    const next = queue.shift();
    if (next === undefined) taken--;
    else next();
  };
  return {
    take: async () => {
      if (taken < atOnce) {
        taken++;
        return end;
      }
      if (queue.length >= waiting) {
        throw new RateLimited({
          retryAfterSeconds: 1,
          detail: `${atOnce} requests of this kind are worked on and ${waiting} wait; send fewer at once.`,
        });
      }
      await new Promise<void>((resolve) => queue.push(resolve));
      return end;
    },
  };
}
