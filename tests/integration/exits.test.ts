/** A tier that is served at an early exit, over HTTP on both databases: its scores are those of the smaller model. */
import { recommendationsAnswerSchema, type RecommendationsAnswer } from '@nestrec/contracts';
import { itemVectors, sliceParameters } from '@nestrec/parameters';
import { createCell } from '@nestrec/streaming';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { serveApi, servedShape, type ServedApi } from '../helpers/api/served-api.js';
import { describeDatabases } from '../helpers/databases.js';
import { itemIdOf, makeArtifact } from '../helpers/published-artifact.js';

const DEEP = { blocks: 3, exits: [{ blocks: 1, dim: 8 }] };
const artifact = makeArtifact(servedShape('v1', DEEP));
const HISTORY = [7, 3, 21, 3].map(itemIdOf);

/** The best for a history by the slice of the weights with so many coordinates and blocks, seen ones left out. */
function reference(history: readonly string[], dim: number, blocks: number) {
  const { config, parameters } = sliceParameters(
    artifact.manifest.config,
    artifact.parameters,
    dim,
    blocks,
  );
  const table = itemVectors(config, parameters, artifact.features);
  const vector = (row: number) => table.subarray(row * dim, (row + 1) * dim);
  const cell = createCell(config, parameters);
  const query = cell.query(cell.fold(history.map((id) => vector(artifact.itemIds.indexOf(id)))));
  return artifact.itemIds
    .map((id, row) => ({ id, score: vector(row).reduce((s, x, d) => s + x * query[d]!, 0) }))
    .filter(({ id }) => !history.includes(id))
    .sort((a, b) => b.score - a.score);
}

function agree({ items }: RecommendationsAnswer, dim: number, blocks: number): void {
  const wanted = reference(HISTORY, dim, blocks).slice(0, items.length);
  expect(items.map((item) => item.item_id)).toEqual(wanted.map(({ id }) => id));
  items.forEach((item, i) => expect(item.score).toBeCloseTo(wanted[i]!.score, 4));
}

describeDatabases('a tier with an exit', (database) => {
  let api: ServedApi;
  let [early, wide, full] = ['', '', ''];
  beforeAll(async () => {
    api = await serveApi(database(), undefined, {}, { v1: DEEP });
    const limits = { max_k: 50, requests_per_second: null };
    for (const [name, max_dim] of [
      ['early', 8],
      ['wide', 16],
    ] as const) {
      const body = { ...limits, max_dim, exit_blocks: 1 };
      const put = await api.call('PUT', `/v1/admin/tiers/${name}`, body);
      expect([put.status, put.json]).toMatchObject([201, { exit_blocks: 1, max_dim }]);
    }
    [early, wide, full] = (await Promise.all(
      ['early', 'wide', 'full'].map((tier) => api.makeKey(tier)),
    )) as [string, string, string];
  });
  afterAll(() => api.stop());

  const ask = async (key: string, method: string, path: string, body?: unknown) => {
    const reply = await api.call(method, path, body, key);
    expect(reply.status, reply.text).toBe(200);
    return recommendationsAnswerSchema.parse(reply.json);
  };
  const post = (user: string) =>
    api.call('POST', '/v1/events', {
      events: HISTORY.map((item_id, i) => ({
        ...{ user_id: user, item_id, event_id: `${user} ${i}` },
        timestamp: new Date(Date.UTC(2026, 0, 1) + i * 1_000).toISOString(),
      })),
    });

  it('answers a session as the model cut to that depth and size does, and says so', async () => {
    const path = '/v1/sessions/recommendations';
    const answer = await ask(early, 'POST', path, { items: HISTORY, k: 20, because: true });
    expect(answer.served_by).toMatchObject({ dim: 8, blocks: 1, events_in_state: 4 });
    agree(answer, 8, 1);
    // Reasons are of the query that was asked: leaving out an event changes the score by so much.
    const { because, item_id, score } = answer.items.find((item) => item.because!.length > 0)!;
    const left = HISTORY.findIndex((id) => id === because![0]!.item_id);
    const rest = HISTORY.filter((_, i) => i !== left);
    if (HISTORY.filter((id) => id === HISTORY[left]).length === 1) {
      const without = reference(rest, 8, 1).find(({ id }) => id === item_id)!;
      expect(because![0]!.contribution).toBeCloseTo(score - without.score, 4);
    }
    const small = await ask(early, 'POST', path, { items: HISTORY, k: 20, dim: 4 });
    expect(small.served_by).toMatchObject({ dim: 4, blocks: 1 });
    agree(small, 4, 1);
  });

  it('answers a user from the stored state of the whole model, and from one that has to be made', async () => {
    const { token } = (await post('walker')).json as { token: string };
    const path = `/v1/users/walker/recommendations?k=20&after=${token}`;
    const answer = await ask(early, 'GET', path);
    expect(answer.served_by).toMatchObject({ dim: 8, blocks: 1, fallback: null });
    agree(answer, 8, 1);
    await database().execute(`DELETE FROM user_states WHERE user_id = 'walker'`);
    const rebuilt = await ask(early, 'GET', path);
    expect(rebuilt.served_by).toMatchObject({ dim: 8, blocks: 1, events_in_state: 4 });
    agree(rebuilt, 8, 1);
    const whole = await ask(full, 'GET', `${path}&dim=8`);
    expect(whole.served_by).toMatchObject({ dim: 8, blocks: 3 });
    agree(whole, 8, 3);
    expect(whole.items.map(({ item_id }) => item_id)).not.toEqual(
      answer.items.map(({ item_id }) => item_id),
    );
  });

  it('gets the full depth where the model was not trained to answer at its exit, and is told', async () => {
    const path = '/v1/sessions/recommendations';
    const answer = await ask(wide, 'POST', path, { items: HISTORY, k: 20 });
    expect(answer.served_by).toMatchObject({ dim: 16, blocks: 3 });
    agree(answer, 16, 3);
    const tiersNow = async () => {
      const { json } = await api.call('GET', '/v1/tiers');
      const { tiers } = json as { tiers: { name: string; exit: unknown }[] };
      return Object.fromEntries(tiers.map(({ name, exit }) => [name, exit]));
    };
    expect(await tiersNow()).toMatchObject({
      early: { blocks: 1, dim: 8 },
      wide: null,
      full: null,
    });
    expect((await api.call('POST', '/v1/models/v2/publish')).status).toBe(202);
    const published = async () => (await api.call('GET', '/v1/models')).json;
    await expect.poll(published).toMatchObject({ published: 'v2' });
    expect(await tiersNow()).toMatchObject({ early: null, wide: null });
    const servedBy = async () =>
      (await ask(early, 'POST', path, { items: HISTORY, k: 5 })).served_by;
    // All the blocks that this one has.
    await expect.poll(servedBy).toMatchObject({ model_version: 'v2', dim: 8, blocks: 1 });
  });

  it('has no blocks to speak of for similar items', async () => {
    const answer = await ask(early, 'GET', `/v1/items/${itemIdOf(3)}/similar?k=3`);
    expect(answer.served_by.blocks).toBeNull();
  });
});
