import { setImmediate as settle } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createTurns } from './turns.js';

describe('turns', () => {
  it('let two in at once, the others in their order, and refuse what is too much', async () => {
    let refused = 0;
    const turns = createTurns({ room: 2, waiting: 2, of: 'tests', onRefused: () => refused++ });
    const order: string[] = [];
    const enter = async (name: string) => {
      const end = await turns.take();
      order.push(name);
      return end;
    };
    const [a, b] = [await enter('a'), await enter('b')];
    const [c, d] = [enter('c'), enter('d')];
    await expect(turns.take()).rejects.toMatchObject({ code: 'rate_limited' });
    expect(refused).toBe(1);
    expect(order).toEqual(['a', 'b']);
    b();
    const endC = await c;
    expect(order).toEqual(['a', 'b', 'c']);
    a();
    for (const end of [endC, await d]) end();
    expect(order).toEqual(['a', 'b', 'c', 'd']);
    // All turns are back.
    await enter('e');
    await enter('f');
    expect(order).toHaveLength(6);
  });

  it('let in by size: small ones together, one that is larger than all the room alone', async () => {
    const turns = createTurns({ room: 10, waiting: 5, of: 'bytes' });
    const order: string[] = [];
    const enter = async (name: string, size: number) => {
      const end = await turns.take(size);
      order.push(name);
      return end;
    };
    const [a, b] = [await enter('a', 4), await enter('b', 6)];
    const large = enter('large', 99);
    // It would fit beside `a`, but came after the large one.
    const small = enter('small', 1);
    b();
    await settle();
    expect(order).toEqual(['a', 'b']);
    a();
    const endLarge = await large;
    await settle();
    expect(order).toEqual(['a', 'b', 'large']);
    endLarge();
    await small;
    expect(order).toEqual(['a', 'b', 'large', 'small']);
  });
});
