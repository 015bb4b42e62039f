/**
 * What answers and logs must not tell (reliability.md D12) when everything behind the API fails, on every route:
 * stacks, paths, SQL, drivers, keys, and what clients sent.
 *
 * LEAK_REQUESTS sets how many (200 here; `npm run test:security` takes 2,000), LEAK_SEED repeats a run. That
 * requests of a working API leak nothing is shown by `fuzz.test.ts`.
 */
import { DatabaseUnavailable } from '@nestrec/errors';
import { createLogger } from '@nestrec/runtime';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { documented, requestOf, urlOf } from '../../../../tests/helpers/api/document-requests.js';
import { createFakeWorld } from '../../../../tests/helpers/api/fakes.js';
import {
  call,
  problemOf,
  startApi,
  type ApiHarness,
} from '../../../../tests/helpers/api/harness.js';
import { leaksIn } from '../../../../tests/helpers/api/leaks.js';
import { valid } from '../../../../tests/helpers/api/schema-arbitrary.js';
import type { ApiDeps } from '../deps.js';

const REQUESTS = Number(process.env['LEAK_REQUESTS'] ?? 200);
const SEED = Number(process.env['LEAK_SEED'] ?? 20261126);
const ROW = 'canary-row-of-the-database';
const SENT = 'canary-of-the-client';

/** As drivers fail: with statement, row, path and address hanging on the error. */
function fault(kind: number): Error {
  const inside = Object.assign(
    new Error(
      `SELECT secret FROM users WHERE key = 'rk_live_0123456789_x' -- ${ROW} at Pool (/work/node_modules/pg/x.ts:1:1)`,
    ),
    { code: '42P01', detail: ROW, where: 'PL/pgSQL', parameters: [ROW], body: ROW },
  );
  const refused = Object.assign(new Error(`connect ECONNREFUSED 10.0.0.7:5432`), { detail: ROW });
  return kind === 0 ? inside : new DatabaseUnavailable({ detail: 'pg_pool', cause: refused });
}

let nextFault = 0;
const failing = new Proxy({}, { get: () => () => Promise.reject(fault(nextFault++ % 2)) });

let api: ApiHarness;
let key: string;
let logs = '';
beforeAll(async () => {
  const destination = { write: (line: string) => (logs += line) };
  const { deps } = createFakeWorld();
  // All that fails is asked by name: a new dependency is broken here too.
  const kept = new Set([
    ...['keys', 'clock', 'logger', 'metrics', 'checks', 'waitForEvents', 'log'],
    // In memory, and without promises.
    'serving',
  ]);
  const broken = Object.keys(deps).filter((name) => !kept.has(name));
  api = await startApi({
    ...Object.fromEntries(broken.map((name) => [name, failing])),
    log: { topic: 't', append: () => Promise.reject(fault(0)) },
    waitForEvents: () => Promise.reject(fault(0)),
    logger: createLogger({ name: 'api', level: 'debug', destination }),
  } as Partial<ApiDeps>);
  key = api.world.key();
});
afterAll(() => api.stop());

describe('an API behind which all fails', () => {
  it(
    `tells nothing of its inside in ${REQUESTS} answers, nor of its clients in the log`,
    { timeout: 600_000 },
    async () => {
      const failed = new Set<string>();
      await fc.assert(
        fc.asyncProperty(
          fc.oneof(...documented.map((one) => requestOf(one, valid))),
          async (request) => {
            const reply = await call(api.url, null, request.method, urlOf(request), {
              key,
              headers: { cookie: SENT, 'x-canary': SENT, 'content-type': 'application/json' },
              ...(request.body === undefined
                ? {}
                : { body: JSON.stringify(request.body).replaceAll('"u1"', `"${SENT}"`) }),
            });
            if (reply.status < 400) return;
            // Throws for anything but a problem.
            problemOf(reply);
            expect(leaksIn(reply.text)).toEqual([]);
            expect(reply.text).not.toContain(ROW);
            if (reply.status >= 500) failed.add(`${request.method} ${request.path}`);
          },
        ),
        { numRuns: REQUESTS, seed: SEED },
      );
      expect(failed.size).toBeGreaterThan(8);
      expect(logs.length).toBeGreaterThan(0);
      for (const secret of [SENT, key.slice('rk_live_'.length), 'detail":"canary']) {
        expect(logs).not.toContain(secret);
      }
    },
  );

  it('bodies that are not JSON are told by position, and stand neither in answer nor log', async () => {
    for (const body of [`{"${SENT}": `, `{"a": "${SENT}", }`, `[${SENT}]`, `\u0000${SENT}`]) {
      const reply = await api.call('POST', '/v1/events', { body });
      expect(problemOf(reply).status).toBe(400);
      expect(reply.text).not.toContain(SENT);
    }
    expect(logs).not.toContain(SENT);
  });
});
