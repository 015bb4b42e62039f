import type { ModelConfig } from '@nestrec/contracts';
import type { Queryable, Row } from '@nestrec/database';
import { initParameters } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import type { Artifact } from '@nestrec/registry';
import { manualClock, silentLogger } from '@nestrec/runtime';
import { describe, expect, it } from 'vitest';
import { createPublishedModels } from './published-models.js';

const config: ModelConfig = {
  ...{ sizes: [2, 4], blocks: 1, featureWidth: 0, numItems: 3, useBias: true },
  ...{ itemResidual: true, scoreScale: false, rMin: 0, rMax: 0.5 },
};
const parameters = initParameters(config, createRandom(1));

/** A pointer that the test moves, and loads that it lets finish. */
function harness(pollMs = 500) {
  const clock = manualClock(0);
  const pointer = { version: 'v1' as string | null, looks: 0 };
  const loads: { version: string; finish(): void; fail(): void }[] = [];
  const answer = (text: string, params: readonly unknown[]): Row[] => {
    if (text.includes('FROM published_model')) {
      pointer.looks++;
      return pointer.version === null
        ? []
        : [{ version: pointer.version, previous_version: null, published_at: new Date(0) }];
    }
    if (text.includes('count(*)')) return [{ rows: 3n }];
    return [
      {
        ...{ version: params[0], status: 'published', manifest: {}, path: `/${String(params[0])}` },
        ...{ index_dims: [4], vectors_version: params[0], created_at: new Date(0) },
      },
    ];
  };
  const db: Queryable = {
    query: (text, params = []) =>
      Promise.resolve({ rows: answer(text, params) as never[], rowCount: 1 }),
    execute: () => Promise.resolve(),
  };
  const models = createPublishedModels({
    ...{ db, clock, pollMs, logger: silentLogger() },
    loadArtifact: (version) =>
      new Promise((resolve, reject) => {
        loads.push({
          version,
          finish: () =>
            resolve({ manifest: { config, version } as Artifact['manifest'], parameters }),
          fail: () => reject(new Error('broken artifact')),
        });
      }),
  });
  /** Lets everything that is not waiting for the test run. */
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const serving = async () => (await models.current()).version;
  return { clock, pointer, loads, models, settle, serving };
}

describe('createPublishedModels', () => {
  it('serves the old version until the next is loaded completely, without waiting for it', async () => {
    const { clock, pointer, loads, settle, serving } = harness();
    const first = serving();
    await settle();
    loads[0]!.finish();
    expect(await first).toBe('v1');

    pointer.version = 'v2';
    clock.advance(500);
    expect(await serving()).toBe('v1');
    await settle();
    expect(loads.map(({ version }) => version)).toEqual(['v1', 'v2']);
    clock.advance(10_000);
    expect(await serving()).toBe('v1');
    loads[1]!.finish();
    await settle();
    expect(await serving()).toBe('v2');
    expect(loads).toHaveLength(2);
  });

  it('loads a version once for all who wait for the first', async () => {
    const { loads, settle, serving } = harness();
    const waiting = [serving(), serving(), serving()];
    await settle();
    expect(loads).toHaveLength(1);
    loads[0]!.finish();
    expect(await Promise.all(waiting)).toEqual(['v1', 'v1', 'v1']);
  });

  it('keeps serving where the next version cannot be loaded, and tries again later only', async () => {
    const { clock, pointer, loads, settle, serving } = harness();
    const first = serving();
    await settle();
    loads[0]!.finish();
    await first;
    pointer.version = 'v2';
    clock.advance(500);
    await serving();
    await settle();
    loads[1]!.fail();
    await settle();
    clock.advance(5_000);
    expect(await serving()).toBe('v1');
    await settle();
    expect(loads).toHaveLength(2);
    clock.advance(5_000);
    await serving();
    await settle();
    loads[2]!.finish();
    await settle();
    expect(await serving()).toBe('v2');
  });

  it('looks at the pointer at most once per poll, however many ask', async () => {
    const { clock, pointer, loads, settle, serving } = harness(500);
    const first = serving();
    await settle();
    loads[0]!.finish();
    await first;
    pointer.looks = 0;
    for (let n = 0; n < 20; n++) {
      clock.advance(100);
      await Promise.all([serving(), serving()]);
      await settle();
    }
    expect(pointer.looks).toBe(4);
  });

  it('shows a refresh what was published just before it, also while an older look is under way', async () => {
    const { clock, pointer, loads, models, settle, serving } = harness();
    const first = serving();
    await settle();
    loads[0]!.finish();
    await first;
    pointer.version = 'v2';
    clock.advance(500);
    await serving();
    await settle();
    pointer.version = 'v3';
    const refreshed = models.refresh();
    loads[1]!.finish();
    await settle();
    loads[2]!.finish();
    expect((await refreshed).version).toBe('v3');
    expect(models.peek()?.version).toBe('v3');
  });
});
