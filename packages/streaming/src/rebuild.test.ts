import { createRandom } from '@nestrec/random';
import { describe, expect, it } from 'vitest';
import { randomModel, randomVectors } from '../../../tests/helpers/streaming-reference.js';
import { createCell } from './cell.js';
import { rebuildState, type HistoryEvent, type RebuildSources } from './rebuild.js';

const model = randomModel(1, { sizes: [4, 8], blocks: 1 });
const cell = createCell(model.config, model.params);
const vectors = new Map<string, Float32Array>(
  randomVectors(createRandom(1), 6, 8).map((vector, i) => [`i${i}`, vector] as const),
);
const event = (n: number, itemId: string): HistoryEvent => ({
  ...{ eventId: `e${n}`, itemId, timestampMs: 1_000 + n },
});
const sourcesOf = (history: HistoryEvent[]) => {
  const asked: number[] = [];
  const sources: RebuildSources = {
    loadNewest: (limit) => {
      asked.push(limit);
      return Promise.resolve(history.slice(-limit));
    },
    loadVectors: (ids) =>
      Promise.resolve(new Map([...vectors].filter(([itemId]) => ids.includes(itemId)))),
  };
  return { asked, sources };
};
const foldOf = (history: HistoryEvent[]) => cell.fold(history.map((e) => vectors.get(e.itemId)!));

describe('rebuildState', () => {
  it('folds the newest replayEvents interactions, oldest first', async () => {
    const history = Array.from({ length: 9 }, (_, n) => event(n, `i${n % 6}`));
    const { sources, asked } = sourcesOf(history);
    const rebuilt = await rebuildState(cell, 5, sources);
    expect(rebuilt.state).toEqual(foldOf(history.slice(4)));
    expect(rebuilt).toMatchObject({ unknownEvents: 0, lastKnown: { eventId: 'e8' } });
    expect(asked).toEqual([5]);
  });

  it('skips and counts unknown items, and looks further back for known ones', async () => {
    const items = ['i0', 'i1', 'i2', 'gone', 'i3', 'gone', 'new'];
    const history = items.map((itemId, n) => event(n, itemId));
    const { sources, asked } = sourcesOf(history);
    const rebuilt = await rebuildState(cell, 3, sources);
    expect(rebuilt.state).toEqual(foldOf([history[1]!, history[2]!, history[4]!]));
    expect(rebuilt).toMatchObject({
      ...{ unknownEvents: 3, lastKnown: { eventId: 'e4' }, newest: { eventId: 'e6' } },
    });
    expect(asked).toEqual([3, 24]);
  });

  it('gives the empty state for a user without interactions or without known ones', async () => {
    const nobody = await rebuildState(cell, 3, sourcesOf([]).sources);
    expect(nobody).toEqual({
      ...{ state: cell.emptyState(), lastKnown: null, newest: null, unknownEvents: 0 },
    });
    const unknown = await rebuildState(cell, 3, sourcesOf([event(1, 'gone')]).sources);
    expect(unknown).toMatchObject({ state: cell.emptyState(), lastKnown: null, unknownEvents: 1 });
  });
});
