import { setImmediate as settle } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createTurns, type TurnsOptions } from './turns.js';

/** Turns, and the names of those that were let in and refused, in their order. */
function record(options: Omit<TurnsOptions, 'of' | 'longestWaitMs'>, longestWaitMs = 60_000) {
  const order: string[] = [];
  const refused: string[] = [];
  const turns = createTurns({ ...options, longestWaitMs, of: 'tests' });
  const ends = new Map<string, () => void>();
  return {
    order,
    refused,
    /** Asks for a turn; `a2` is the second of the client `a`. */
    ask: (name: string, size = 1) =>
      turns.take(name[0]!, size).then(
        (end) => {
          order.push(name);
          ends.set(name, end);
        },
        (error: { code: string }) => {
          refused.push(`${name}: ${error.code}`);
        },
      ),
    end: (name: string) => {
      ends.get(name)!();
      return settle();
    },
  };
}

describe('turns', () => {
  it('let two in at once, the others in their order, and refuse what is too much', async () => {
    let refusals = 0;
    const turns = record({ room: 2, largest: 1, waiting: 2, onRefused: () => refusals++ });
    for (const name of ['a', 'b', 'c', 'd']) void turns.ask(name);
    await turns.ask('e');
    expect(turns.refused).toEqual(['e: rate_limited']);
    expect(refusals).toBe(1);
    expect(turns.order).toEqual(['a', 'b']);
    await turns.end('b');
    expect(turns.order).toEqual(['a', 'b', 'c']);
    for (const name of ['a', 'c', 'd']) await turns.end(name);
    expect(turns.order).toEqual(['a', 'b', 'c', 'd']);
    // All turns are back.
    for (const name of ['f', 'g']) await turns.ask(name);
    expect(turns.order).toHaveLength(6);
  });

  it('let in by size: small ones together, and one that waits for room is not overtaken', async () => {
    const turns = record({ room: 20, largest: 10, waiting: 5 });
    for (const [name, size] of [
      ['a', 10],
      ['b', 8],
      ['large', 10],
      ['small', 1],
    ] as const) {
      void turns.ask(name, size);
    }
    await settle();
    // The small one would fit, but came after the large one.
    expect(turns.order).toEqual(['a', 'b']);
    await turns.end('b');
    expect(turns.order).toEqual(['a', 'b', 'large']);
    await turns.end('a');
    expect(turns.order).toEqual(['a', 'b', 'large', 'small']);
  });

  it('leave one of the largest to the others, however much a client asks for', async () => {
    const turns = record({ room: 4, largest: 1, waiting: 9 });
    for (const name of ['a1', 'a2', 'a3', 'a4', 'b1']) void turns.ask(name);
    await settle();
    expect(turns.order).toEqual(['a1', 'a2', 'a3', 'b1']);
  });

  it('give the next turn to who holds least, not to who came first', async () => {
    const turns = record({ room: 4, largest: 1, waiting: 9 });
    for (const name of ['a1', 'a2', 'a3', 'b1', 'a4', 'b2', 'c1', 'b3']) void turns.ask(name);
    await settle();
    expect(turns.order).toEqual(['a1', 'a2', 'a3', 'b1']);
    await turns.end('a1');
    await turns.end('a2');
    await turns.end('b1');
    expect(turns.order.slice(4)).toEqual(['c1', 'a4', 'b2']);
  });

  it('refuse of a full queue the last of the client of which most wait, not who comes last', async () => {
    const turns = record({ room: 2, largest: 1, waiting: 3 });
    for (const name of ['a1', 'x1', 'a2', 'a3', 'a4']) void turns.ask(name);
    void turns.ask('b1');
    await settle();
    expect(turns.refused).toEqual(['a4: rate_limited']);
    // Each has one by now and a has two; then everyone has one, and the last has to go.
    void turns.ask('c1');
    void turns.ask('d1');
    await settle();
    expect(turns.refused.slice(1)).toEqual(['a3: rate_limited', 'd1: rate_limited']);
    await turns.end('x1');
    expect(turns.order).toEqual(['a1', 'x1', 'b1']);
  });

  it('end the wait of who would have no time left to be read, and let in whom it kept', async () => {
    const turns = record({ room: 2, largest: 2, waiting: 9 }, 30);
    await turns.ask('a');
    const large = turns.ask('b', 2);
    const small = turns.ask('c', 1);
    expect(turns.order).toEqual(['a']);
    await large;
    await small;
    expect(turns.refused).toEqual(['b: rate_limited']);
    expect(turns.order).toEqual(['a', 'c']);
    turns.end('a');
    await turns.ask('d');
    expect(turns.order).toEqual(['a', 'c', 'd']);
  });
});
