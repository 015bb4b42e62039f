/**
 * The API held to its own document: requests made from its schemas, right and nearly right, never get a
 * status, a shape or a code that it does not name, and nothing that it forbids is let in.
 *
 * FUZZ_REQUESTS sets how many (1,000 here; `npm run test:security` takes 10,000), FUZZ_SEED repeats a run.
 */
import { createLogger } from '@nestrec/runtime';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  call,
  startApi,
  type ApiHarness,
  type Reply,
} from '../../../../tests/helpers/api/harness.js';
import {
  asSegment,
  asText,
  documented,
  openApi,
  requestOf,
  urlOf,
  type FuzzRequest,
  type Parameter,
} from '../../../../tests/helpers/api/document-requests.js';
import { CANARY, type JsonSchema } from '../../../../tests/helpers/api/schema-arbitrary.js';
import { leaksIn } from '../../../../tests/helpers/api/leaks.js';

const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 1_000);
const SEED = process.env['FUZZ_SEED'];

const problemSchema = z.fromJSONSchema(openApi.components.schemas.Problem);
/** A schema of the document with the components that it names. */
const standalone = (schema: JsonSchema): JsonSchema =>
  JSON.parse(
    JSON.stringify({ ...schema, $defs: openApi.components.schemas }).replaceAll(
      '#/components/schemas/',
      '#/$defs/',
    ),
  ) as JsonSchema;
const compiled = new Map<JsonSchema, z.ZodType>();
function allows(schema: JsonSchema, value: unknown): boolean {
  const known = compiled.get(schema) ?? z.fromJSONSchema(standalone(schema));
  compiled.set(schema, known);
  return known.safeParse(value).success;
}

/** Whether the document itself forbids the body or a parameter. */
function isForbidden({ operation, parameters, body }: FuzzRequest): boolean {
  const schema = operation.requestBody?.content['application/json'].schema;
  if (schema !== undefined && !allows(schema, body)) return true;
  return (operation.parameters ?? []).some(
    (one) => Object.hasOwn(parameters, one.name) && !allowsText(one, parameters[one.name]),
  );
}

/** Whether a parameter may be written so in a URL. */
function allowsText({ in: place, schema }: Parameter, value: unknown): boolean {
  const text = place === 'path' ? asSegment(value) : asText(value);
  switch (schema['type']) {
    case 'integer':
    case 'number':
      return text.trim() !== '' && allows(schema, Number(text));
    case 'boolean':
      return text === 'true' || text === 'false';
    default:
      return allows(schema, text);
  }
}

function check(request: FuzzRequest, reply: Reply): void {
  const { responses } = request.operation;
  const answer = responses[String(reply.status)];
  expect(Object.keys(responses), `${reply.status} ${reply.text.slice(0, 300)}`).toContain(
    String(reply.status),
  );
  expect(reply.status).toBeLessThan(500);
  if (isForbidden(request)) expect(reply.status).toBeGreaterThanOrEqual(400);
  const type = reply.headers.get('content-type')?.split(';')[0] ?? '';
  if (reply.status >= 400) {
    expect(type).toBe('application/problem+json');
    expect(problemSchema.safeParse(reply.json).success).toBe(true);
    const { code } = reply.json as { code: string };
    expect(JSON.stringify(answer!.content)).toContain(`"${code}"`);
  } else {
    const schema = answer!.content?.[type]?.schema;
    if (schema !== undefined) expect(allows(schema, reply.json)).toBe(true);
  }
  if (!request.path.startsWith('/docs')) expect(leaksIn(reply.text)).toEqual([]);
  expect(reply.headers.get('x-request-id')).toMatch(/^[0-9a-f]{32}$/);
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
}

let api: ApiHarness;
let logs = '';
beforeAll(async () => {
  const destination = { write: (line: string) => (logs += line) };
  api = await startApi({ logger: createLogger({ name: 'api', level: 'debug', destination }) });
});
afterAll(() => api.stop());

describe('fuzz', () => {
  it(
    `${REQUESTS} requests from the document get documented answers`,
    { timeout: 600_000 },
    async () => {
      const key = api.world.key();
      const statuses = new Map<number, number>();
      await fc.assert(
        fc.asyncProperty(fc.oneof(...documented.map((one) => requestOf(one))), async (request) => {
          const options = {
            key,
            ...(request.body === undefined
              ? {}
              : {
                  body: JSON.stringify(request.body),
                  headers: { 'content-type': 'application/json' },
                }),
          };
          const reply = await call(api.url, null, request.method, urlOf(request), options);
          statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1);
          check(request, reply);
          // Revoking our own key, or publishing, must not end the run.
          api.world.published = 'v1';
        }),
        { numRuns: REQUESTS, ...(SEED === undefined ? {} : { seed: Number(SEED) }) },
      );
      // A run that never got in, or never was refused, would show nothing.
      for (const status of [200, 202, 400, 422])
        expect(statuses.get(status) ?? 0).toBeGreaterThan(0);
      // The log had a line for each, and in none of them what was sent.
      expect(logs.split('\n').length).toBeGreaterThan(REQUESTS);
      expect(logs).not.toContain(CANARY);
      expect(logs).not.toContain(key.slice('rk_live_'.length));
      expect(leaksIn(logs)).toEqual([]);
    },
  );
});
