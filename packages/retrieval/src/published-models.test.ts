import type { ModelConfig } from '@nestrec/contracts';
import type { Queryable, Row } from '@nestrec/database';
import { DatabaseUnavailable } from '@nestrec/errors';
import { initParameters } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import type { Artifact } from '@nestrec/registry';
import { manualClock, silentLogger } from '@nestrec/runtime';
import { describe, expect, it } from 'vitest';
import {
  createPublishedModels,
  type PublishedModel,
  type PublishedModelsOptions,
} from './published-models.js';

const config: ModelConfig = {
  ...{ sizes: [2, 4], blocks: 1, featureWidth: 0, numItems: 3, useBias: true },
  ...{ itemResidual: true, scoreScale: false, rMin: 0, rMax: 0.5 },
};
const parameters = initParameters(config, createRandom(1));

/** A pointer that the test moves, and loads that it lets finish. */
function harness(pollMs = 500, extra: Partial<PublishedModelsOptions> = {}) {
  const followed: string[] = [];
  const clock = manualClock(0);
  const pointer = {
    ...{ version: 'v1' as string | null, looks: 0, facts: 'as published', counts: 0, rows: 3n },
    failsWith: (): Error | null => null,
  };
  const loads: { version: string; finish(files?: unknown[]): void; fail(): void }[] = [];
  const answer = (text: string, params: readonly unknown[]): Row[] => {
    if (text.includes('FROM published_model')) {
      pointer.looks++;
      return pointer.version === null
        ? []
        : [{ version: pointer.version, facts_digest: pointer.facts }];
    }
    if (text.includes('count(*)')) {
      pointer.counts++;
      return [{ rows: pointer.rows }];
    }
    return [
      {
        ...{
          version: params[0],
          status: 'published',
          manifest: { files: [] },
          path: `/${String(params[0])}`,
        },
        ...{ index_dims: [4], vectors_version: params[0], created_at: new Date(0) },
        facts_digest: pointer.facts,
      },
    ];
  };
  const db: Queryable = {
    query: (text, params = []) => {
      const fault = pointer.failsWith();
      if (fault !== null) return Promise.reject(fault);
      return Promise.resolve({ rows: answer(text, params) as never[], rowCount: 1 });
    },
    execute: () => Promise.resolve(),
  };
  const models = createPublishedModels({
    ...{ db, clock, pollMs, logger: silentLogger() },
    onFollowed: (result, version) => followed.push(`${version} ${result}`),
    loadArtifact: (version) =>
      new Promise((resolve, reject) => {
        loads.push({
          version,
          finish: (files = []) =>
            resolve({
              manifest: { config, version, files } as unknown as Artifact['manifest'],
              parameters,
            }),
          fail: () => reject(new Error('broken artifact')),
        });
      }),
    ...extra,
  });
  /** Lets everything that is not waiting for the test run. */
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const serving = async () => (await models.current()).version;
  /** Serves `v1` already. */
  const begun = async () => {
    const first = serving();
    await settle();
    loads[0]!.finish();
    await first;
  };
  return { clock, pointer, loads, models, settle, serving, followed, begun };
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

  it('takes the version that served before at once: it counts nothing, and warms up beside its answers', async () => {
    const warming: string[] = [];
    let isSlow = false;
    const warmUp = ({ version }: PublishedModel) => {
      warming.push(version);
      return isSlow ? new Promise<void>(() => undefined) : Promise.resolve();
    };
    const { pointer, loads, settle, models, serving, begun } = harness(500, { warmUp });
    await begun();
    pointer.version = 'v2';
    models.wake();
    await settle();
    loads[1]!.finish();
    await settle();
    expect(await serving()).toBe('v2');
    const { counts } = pointer;
    isSlow = true;
    pointer.version = 'v1';
    models.wake();
    await settle();
    expect(await serving()).toBe('v1');
    expect(models.peek()!.rows).toBe(3);
    expect(warming).toEqual(['v1', 'v2', 'v1']);
    expect(pointer.counts).toBe(counts);
    // One that never served here is waited for.
    pointer.version = 'v3';
    models.wake();
    await settle();
    loads[2]!.finish();
    await settle();
    expect(await serving()).toBe('v1');
  });

  it('takes the indexes of the served version when it is published again, and reads no artifact for it', async () => {
    const warmed: string[] = [];
    const warmUp = ({ factsDigest }: PublishedModel) =>
      Promise.resolve(void warmed.push(factsDigest));
    const { clock, pointer, loads, settle, models, serving, begun } = harness(500, { warmUp });
    await begun();
    const before = models.peek();
    pointer.facts = 'with one index more';
    clock.advance(500);
    expect(await serving()).toBe('v1');
    await settle();
    expect(models.peek()).toMatchObject({ version: 'v1', factsDigest: 'with one index more' });
    expect(models.peek()!.cell).toBe(before!.cell);
    expect(warmed).toEqual(['as published', 'with one index more']);
    expect(loads).toHaveLength(1);
    const served = models.peek();
    clock.advance(500);
    await serving();
    await settle();
    expect(models.peek()).toBe(served);
  });

  it('counts the items of the served version again once a minute', async () => {
    const { clock, pointer, models, serving, settle, begun } = harness();
    await begun();
    pointer.rows = 5_000n;
    for (let second = 0; second < 60; second++) {
      clock.advance(1_000);
      await serving();
      await settle();
    }
    expect(models.peek()!.rows).toBe(3);
    clock.advance(1_000);
    await serving();
    await settle();
    expect(models.peek()!.rows).toBe(5_000);
    expect(pointer.counts).toBe(2);
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

  it('follows at once when it is woken, without a request and without waiting for the poll', async () => {
    const { pointer, loads, models, settle, begun } = harness(1e9);
    await begun();
    pointer.version = 'v2';
    models.wake();
    await settle();
    loads[1]!.finish();
    await settle();
    expect(models.peek()?.version).toBe('v2');
  });

  it('looks again where it is woken during a look that may have come too early', async () => {
    const { pointer, loads, models, settle, begun } = harness(1e9);
    await begun();
    models.wake();
    // The look has asked for the pointer by now and will be told v1.
    pointer.version = 'v2';
    models.wake();
    await settle();
    expect(loads.map(({ version }) => version)).toEqual(['v1', 'v2']);
  });

  it('never serves a version that was rolled back while it was loaded', async () => {
    const { pointer, loads, models, settle, begun, followed } = harness(1e9);
    await begun();
    pointer.version = 'v2';
    models.wake();
    await settle();
    pointer.version = 'v1';
    loads[1]!.finish();
    await settle();
    expect(models.peek()?.version).toBe('v1');
    expect(followed).toEqual(['v1 loaded']);
  });

  it('warms the next version up before its first request, and serves the old one meanwhile', async () => {
    const warm: { version: string; done(): void }[] = [];
    const warmUp: PublishedModelsOptions['warmUp'] = ({ version }) =>
      new Promise((resolve) => warm.push({ version, done: resolve }));
    const { pointer, loads, models, settle, serving } = harness(1e9, { warmUp });
    const first = serving();
    await settle();
    loads[0]!.finish();
    await settle();
    warm[0]!.done();
    expect(await first).toBe('v1');
    pointer.version = 'v2';
    models.wake();
    await settle();
    loads[1]!.finish();
    await settle();
    expect([warm[1]!.version, await serving()]).toEqual(['v2', 'v1']);
    warm[1]!.done();
    await settle();
    expect(await serving()).toBe('v2');
  });

  it('serves a version also where warming it up failed', async () => {
    const warmUp = () => Promise.reject(new Error('the sample failed'));
    const { begun, serving } = harness(1e9, { warmUp });
    await begun();
    expect(await serving()).toBe('v1');
  });

  it('goes back to the version before without reading its artifact again', async () => {
    const { pointer, loads, models, settle, begun } = harness(1e9);
    await begun();
    pointer.version = 'v2';
    models.wake();
    await settle();
    loads[1]!.finish();
    await settle();
    pointer.version = 'v1';
    models.wake();
    await settle();
    expect(models.peek()?.version).toBe('v1');
    expect(loads).toHaveLength(2);
  });

  it('says which version it could not load, until another is published or it is gone back', async () => {
    const { pointer, loads, models, settle, begun, followed } = harness(1e9);
    await begun();
    pointer.version = 'v2';
    models.wake();
    await settle();
    loads[1]!.fail();
    await settle();
    expect([models.failed(), models.peek()?.version]).toEqual(['v2', 'v1']);
    pointer.version = 'v1';
    models.wake();
    await settle();
    expect([models.failed(), models.peek()?.version]).toEqual([null, 'v1']);
    expect(followed).toEqual(['v1 loaded', 'v2 failed']);
  });

  it('refuses an artifact that is sound but not the one that was published', async () => {
    const { pointer, loads, models, settle, begun } = harness(1e9);
    await begun();
    pointer.version = 'v2';
    models.wake();
    await settle();
    loads[1]!.finish([{ name: 'weights.safetensors', bytes: 1, sha256: 'other' }]);
    await settle();
    expect([models.failed(), models.peek()?.version]).toEqual(['v2', 'v1']);
  });

  it('does not blame a version for a database that is away, and tries again with the next poll', async () => {
    let away = false;
    const { clock, pointer, loads, models, settle, serving, begun } = harness(500, {
      warmUp: () => Promise.resolve(),
    });
    await begun();
    pointer.version = 'v2';
    away = true;
    pointer.failsWith = () => (away ? new DatabaseUnavailable({ detail: 'away' }) : null);
    models.wake();
    await settle();
    expect([models.failed(), await serving()]).toEqual([null, 'v1']);
    away = false;
    clock.advance(500);
    await serving();
    await settle();
    loads[1]!.finish();
    await settle();
    expect(await serving()).toBe('v2');
  });
});
