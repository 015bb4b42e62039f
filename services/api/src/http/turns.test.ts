import { describe, expect, it } from 'vitest';
import { createTurns } from './turns.js';

describe('turns', () => {
  it('let two in at once, the others in their order, and refuse what is too much', async () => {
    const turns = createTurns(2, 2);
    const order: string[] = [];
    const enter = async (name: string) => {
      const end = await turns.take();
      order.push(name);
      return end;
    };
    const [a, b] = [await enter('a'), await enter('b')];
    const [c, d] = [enter('c'), enter('d')];
    await expect(turns.take()).rejects.toMatchObject({ code: 'rate_limited' });
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
});
