/**
 * Keys that reach prototypes (reliability.md D7), in every place of every route that takes any: refused by name,
 * and no object of this process is another than before. What comes by the log and from files is tried by
 * `tests/unit/pollution-sources.test.ts`.
 *
 * PROBES sets how many (600 here; `npm run test:security` takes 10,000), PROBES_SEED repeats a run.
 */
import { loadConfig } from '@nestrec/runtime';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { documented, requestOf, urlOf } from '../../../../tests/helpers/api/document-requests.js';
import {
  call,
  problemOf,
  startApi,
  type ApiHarness,
} from '../../../../tests/helpers/api/harness.js';
import { valid } from '../../../../tests/helpers/api/schema-arbitrary.js';
import {
  expectUnpolluted,
  POLLUTING_MEMBERS,
  withMember,
} from '../../../../tests/helpers/pollution.js';
import { apiConfig } from '../config.js';

const PROBES = Number(process.env['PROBES'] ?? 600);
const SEED = Number(process.env['PROBES_SEED'] ?? 20261126);

const QUERIES = [
  '__proto__=1',
  '__proto__[polluted]=1',
  '__proto__.polluted=1',
  'constructor[prototype][polluted]=1',
  'constructor.prototype.polluted=1',
  'prototype=1',
  '%5F_proto__[polluted]=1',
];

let api: ApiHarness;
let key: string;
beforeAll(async () => {
  api = await startApi();
  key = api.world.key();
});
afterAll(() => api.stop());

const withBody = documented.filter(({ operation }) => operation.requestBody !== undefined);
const bodyProbe = fc
  .tuple(
    fc.oneof(...withBody.map((one) => requestOf(one, valid))),
    fc.constantFrom(...POLLUTING_MEMBERS),
    fc.nat(20),
  )
  .map(([request, member, at]) => ({
    method: request.method,
    url: urlOf(request),
    body: withMember(JSON.stringify(request.body), member, at),
  }));
const queryProbe = fc
  .tuple(fc.oneof(...documented.map((one) => requestOf(one, valid))), fc.constantFrom(...QUERIES))
  .map(([request, query]) => {
    const url = urlOf(request);
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    return { method: request.method, url: `${url}${url.includes('?') ? '&' : '?'}${query}`, body };
  });

describe('prototype pollution', () => {
  it(
    `${PROBES} probes (seed ${SEED}) are refused with 400 and leave every prototype as it was`,
    { timeout: 900_000 },
    async () => {
      const codes = new Set<string>();
      await fc.assert(
        fc.asyncProperty(
          fc.oneof({ weight: 3, arbitrary: bodyProbe }, { weight: 1, arbitrary: queryProbe }),
          async ({ method, url, body }) => {
            const reply = await call(api.url, null, method, url, {
              key,
              ...(body === undefined
                ? {}
                : { body, headers: { 'content-type': 'application/json' } }),
            });
            expect(reply.status, `${method} ${url} ${body}: ${reply.text}`).toBe(400);
            codes.add(problemOf(reply).code);
            expectUnpolluted(reply.json);
          },
        ),
        { numRuns: PROBES, seed: SEED },
      );
      expect([...codes].sort()).toEqual(['invalid_parameter', 'unknown_field']);
      // The items of the catalogue were written by nobody.
      expect([...api.world.items.keys()]).toEqual(['i1']);
    },
  );

  it('settings of such names are unknown settings, not objects', () => {
    for (const name of ['__proto__', 'constructor', 'NESTREC___PROTO__', 'prototype']) {
      const env = JSON.parse(`{${JSON.stringify(name)}:"polluted"}`) as Record<string, string>;
      try {
        loadConfig(apiConfig, env);
      } catch (error) {
        expect(error).toMatchObject({ code: 'invalid_config' });
      }
      expectUnpolluted();
    }
  });
});
