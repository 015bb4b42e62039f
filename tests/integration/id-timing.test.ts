/**
 * What a client may not have it cannot tell apart from what is not there, not by time either (reliability.md D1):
 * the medians over many answers differ by less than 5 ms, on a real database.
 *
 * TIMING_ROUNDS sets how many; 1,000 in `npm run test:security`.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { serveApi, type ServedApi } from '../helpers/api/served-api.js';

const ROUNDS = Number(process.env['TIMING_ROUNDS'] ?? 280);
const MAX_DIFFERENCE_MS = 5;

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

describeDatabases('ids of others', (database) => {
  let api: ServedApi;
  beforeAll(async () => {
    api = await serveApi(database());
  });
  afterAll(() => api.stop());

  it(
    `and ids of nobody get the same answer in the same time, over ${ROUNDS} of each`,
    { timeout: 300_000 },
    async () => {
      // It may write events, and nothing else.
      const stranger = await api.makeKey('full', ['events:write']);
      const { json } = await api.call('DELETE', '/v1/users/somebody');
      const { receipt } = json as { receipt: string };
      const pairs: [method: string, other: string, absent: string][] = [
        ['GET', '/v1/users/somebody/recommendations', '/v1/users/nobody/recommendations'],
        ['DELETE', '/v1/users/somebody', '/v1/users/nobody'],
        ['GET', '/v1/items/i0001', '/v1/items/nothing'],
        ['DELETE', '/v1/items/i0001', '/v1/items/nothing'],
        ['POST', '/v1/models/v1/rollback', '/v1/models/v9/rollback'],
        ['DELETE', '/v1/admin/keys/tests', '/v1/admin/keys/nobody'],
        ['GET', `/v1/erasures/${receipt}`, '/v1/erasures/nothing'],
      ];
      const otherMs: number[] = [];
      const absentMs: number[] = [];
      const ask = async (method: string, path: string, timesMs: number[]) => {
        const startMs = performance.now();
        const reply = await api.call(method, path, undefined, stranger);
        timesMs.push(performance.now() - startMs);
        return `${reply.status} ${reply.text.replaceAll(/[0-9a-f]{32}/g, 'request')}`;
      };
      for (let round = 0; round < ROUNDS; round++) {
        const [method, other, absent] = pairs[round % pairs.length]!;
        const said = await ask(method, other, otherMs);
        expect(said).toMatch(/^403 /);
        expect(await ask(method, absent, absentMs)).toBe(said);
      }
      const [other, absent] = [median(otherMs), median(absentMs)];
      console.log(`medians: other's ${other.toFixed(2)} ms, nobody's ${absent.toFixed(2)} ms`);
      expect(Math.abs(other - absent)).toBeLessThan(MAX_DIFFERENCE_MS);
    },
  );
});
