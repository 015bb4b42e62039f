import { createRandom } from '@nestrec/random';
import { createCell, eraseEvent, type Vector } from '@nestrec/streaming';
import { describe, expect, it } from 'vitest';
import { randomModel, randomVectors } from '../../../tests/helpers/streaming-reference.js';
import { EXPLAINED_EVENTS, EXPLAINED_EVENTS_OF_BLOCKS, explainItems } from './because.js';

const DIM = 8;
const cellOf = (seed: number, blocks: number) => {
  const model = randomModel(seed, { sizes: [4, 8, 16], blocks, rMin: 0.3, rMax: 0.8 });
  return createCell(model.config, model.params);
};
const dot = (a: Vector, b: Vector) => Array.from(a, (x, i) => x * b[i]!).reduce((s, x) => s + x, 0);

function make(seed: number, blocks: number, length: number) {
  const cell = cellOf(seed, blocks);
  const vectors = randomVectors(createRandom(seed), length + 3, cell.dim);
  const history = vectors.slice(0, length).map((vector, i) => ({
    ...{ itemId: `past${i}`, eventId: `e${i}`, timestampMs: 1_000 * i, vector },
  }));
  const items = new Map(vectors.slice(length).map((vector, i) => [`item${i}`, vector]));
  return { cell, history, items };
}

describe('explainItems', () => {
  it.each([
    [1, 1],
    [1, 6],
    [1, 40],
    [2, 6],
    [2, 20],
  ])(
    'with %i block(s) and %i events gives what a refold without the event gives',
    (blocks, length) => {
      const { cell, history, items } = make(11, blocks, length);
      const explained = explainItems({ cell, history, items, dim: DIM });
      const score = (events: typeof history, item: Vector) =>
        dot(cell.query(cell.fold(events.map(({ vector }) => vector)), DIM), item.subarray(0, DIM));
      const recent = history.slice(-(blocks === 1 ? EXPLAINED_EVENTS : EXPLAINED_EVENTS_OF_BLOCKS));
      for (const [itemId, vector] of items) {
        const all = score(history, vector);
        const added = recent.map((event) => ({
          eventId: event.eventId,
          by:
            all -
            score(
              history.filter((other) => other !== event),
              vector,
            ),
        }));
        const positive = added.filter(({ by }) => by > 1e-5).sort((a, b) => b.by - a.by);
        const got = explained.get(itemId)!;
        expect(got.map(({ event_id }) => event_id)).toEqual(
          positive.slice(0, 3).map(({ eventId }) => eventId),
        );
        const total = added.reduce((sum, { by }) => sum + Math.max(by, 0), 0);
        got.forEach(({ contribution, share }, i) => {
          expect(contribution).toBeCloseTo(positive[i]!.by, 4);
          expect(share).toBeCloseTo(positive[i]!.by / total, 3);
        });
      }
      expect([...explained.values()].flat().length).toBeGreaterThan(0);
    },
  );

  it('agrees with the erasure of the event in closed form', () => {
    const { cell, history, items } = make(5, 1, 10);
    const explained = explainItems({ cell, history, items, dim: cell.dim });
    const vectors = history.map(({ vector }) => vector);
    const whole = cell.query(cell.fold(vectors));
    for (const [itemId, item] of items) {
      for (const reason of explained.get(itemId)!) {
        const at = history.findIndex(({ eventId }) => eventId === reason.event_id);
        const state = cell.fold(vectors);
        const place = { older: vectors.slice(0, at), newer: vectors.slice(at + 1) };
        eraseEvent(cell, state, vectors[at]!, place);
        const change = dot(whole, item) - dot(cell.query(state), item);
        expect(reason.contribution).toBeCloseTo(change, 4);
      }
    }
  });

  it('names the item, id and time of the event, null where a session has none', () => {
    const { cell, history, items } = make(5, 1, 4);
    const dated = explainItems({ cell, history, items, dim: DIM });
    const known = new Map(history.map((event) => [event.eventId, event]));
    for (const reason of [...dated.values()].flat()) {
      const event = known.get(reason.event_id!)!;
      expect(reason).toMatchObject({
        item_id: event.itemId,
        at: new Date(event.timestampMs).toISOString(),
      });
    }
    const bare = history.map((event) => ({ ...event, eventId: null, timestampMs: null }));
    for (const reason of [
      ...explainItems({ cell, history: bare, items, dim: DIM }).values(),
    ].flat()) {
      expect(reason).toMatchObject({ event_id: null, at: null });
    }
  });
});
