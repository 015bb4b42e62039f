/**
 * Turns at work that takes much memory: what has room is let in, some wait, and more than these are refused at
 * once or when they waited too long, before anything of them is read. No client can take all of it from the others.
 */
import { RateLimited } from '@nestrec/errors';

export interface Turns {
  /**
   * Resolves, when there is room for `size` (at most `largest`), to what gives it back.
   * @throws RateLimited where too many wait, or this one waited for too long
   */
  take(client: string, size: number): Promise<() => void>;
}

export interface TurnsOptions {
  /** Sum of the sizes that are let in at once; below twice the largest nothing is left over to the others. */
  readonly room: number;
  /** The greatest size of one. A client leaves as much to the others: more than the rest of the room it never has. */
  readonly largest: number;
  /** How many may wait. */
  readonly waiting: number;
  /** A request must be whole within a time that goes on while it waits; what is left after this is for reading it. */
  readonly longestWaitMs: number;
  /** What is worked on, in the plural, as the refused are told. */
  readonly of: string;
  readonly onRefused?: () => void;
}

/** Of the time that a request has to be whole: a route's turn, then that of its body, leave a third for reading. */
export const WAITING_SHARE = 1 / 3;

interface Waiting {
  readonly client: string;
  readonly size: number;
  readonly enter: () => void;
  readonly refuse: (error: Error) => void;
}

export function createTurns(options: TurnsOptions): Turns {
  const { room, largest, waiting, longestWaitMs, of, onRefused } = options;
  // Where there is room for one alone, everybody's share is that one.
  const share = Math.max(largest, room - largest);
  const held = new Map<string, number>();
  const heldBy = (client: string) => held.get(client) ?? 0;
  let taken = 0;
  /** In the order they came. */
  const queue: Waiting[] = [];

  const hold = (client: string, size: number) => {
    taken += size;
    const sum = heldBy(client) + size;
    if (sum === 0) held.delete(client);
    else held.set(client, sum);
  };
  const letIn = () => {
    for (;;) {
      const next = nextOf(queue, heldBy, share);
      // One that waits for room is not overtaken for ever by smaller ones: nobody passes it.
      if (next === undefined || taken + next.size > room) return;
      queue.splice(queue.indexOf(next), 1);
      hold(next.client, next.size);
      next.enter();
    }
  };
  const refuse = (one: Waiting, why: string) => {
    queue.splice(queue.indexOf(one), 1);
    onRefused?.();
    one.refuse(
      new RateLimited({
        retryAfterSeconds: 1,
        detail: `As many ${of} as there is room for are worked on and ${why}; send fewer at once.`,
      }),
    );
    // Who was kept waiting by its size alone keeps nobody now.
    letIn();
  };
  const giveBack = (client: string, size: number) => () => {
    hold(client, -size);
    letIn();
  };
  return {
    take: (client, size) =>
      new Promise((resolve, reject) => {
        const enter = () => {
          clearTimeout(limit);
          resolve(giveBack(client, size));
        };
        const one: Waiting = {
          ...{ client, size, enter },
          refuse: (error) => {
            clearTimeout(limit);
            reject(error);
          },
        };
        const tooLong = `none became free within ${longestWaitMs / 1_000} s`;
        const limit = setTimeout(() => refuse(one, tooLong), longestWaitMs);
        queue.push(one);
        letIn();
        if (queue.length > waiting) refuse(lastOfMost(queue), `${waiting} more wait`);
      }),
  };
}

/** Who is next: of the clients with a share left the one that holds least, of its own the first that came. */
function nextOf(
  queue: readonly Waiting[],
  heldBy: (client: string) => number,
  share: number,
): Waiting | undefined {
  const seen = new Set<string>();
  let next: Waiting | undefined;
  for (const one of queue) {
    if (seen.has(one.client)) continue;
    seen.add(one.client);
    if (heldBy(one.client) + one.size > share) continue;
    if (next === undefined || heldBy(one.client) < heldBy(next.client)) next = one;
  }
  return next;
}

/** The last that came of the client of which most wait: a flood displaces its own, not the others. */
function lastOfMost(queue: readonly Waiting[]): Waiting {
  const counts = new Map<string, number>();
  for (const { client } of queue) counts.set(client, (counts.get(client) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return queue.findLast(({ client }) => counts.get(client) === most)!;
}
