/**
 * The API held to its own document: requests made from its schemas, right and nearly right, never get a
 * status, a shape or a code that it does not name, and nothing that it forbids is let in.
 *
 * FUZZ_REQUESTS sets how many (default 1,000), FUZZ_SEED repeats a run.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  call,
  startApi,
  type ApiHarness,
  type Reply,
} from '../../../../tests/helpers/api/harness.js';
import { nearlyValid, type JsonSchema } from '../../../../tests/helpers/api/schema-arbitrary.js';
import { leaksIn } from '../../../../tests/helpers/api/leaks.js';
import { routes } from '../routes/index.js';
import { createOpenApiDocument } from './document.js';

const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 1_000);
const SEED = process.env['FUZZ_SEED'];

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required: boolean;
  readonly schema: JsonSchema;
}
interface DocumentedAnswer {
  readonly content?: Record<string, { schema?: JsonSchema }>;
}
interface Operation {
  readonly parameters?: Parameter[];
  readonly requestBody?: { content: { 'application/json': { schema: JsonSchema } } };
  readonly responses: Record<string, DocumentedAnswer>;
}
interface FuzzRequest {
  readonly operation: Operation;
  readonly method: string;
  readonly path: string;
  readonly parameters: Record<string, unknown>;
  readonly body: unknown;
}

const document = createOpenApiDocument(routes) as {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: { Problem: JsonSchema; Filter: JsonSchema } };
};
const { schemas } = document.components;
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);
const problemSchema = z.fromJSONSchema(schemas.Problem);
/** A schema of the document with the components that it names. */
const standalone = (schema: JsonSchema): JsonSchema =>
  JSON.parse(
    JSON.stringify({ ...schema, $defs: schemas }).replaceAll('#/components/schemas/', '#/$defs/'),
  ) as JsonSchema;
const compiled = new Map<JsonSchema, z.ZodType>();
function allows(schema: JsonSchema, value: unknown): boolean {
  const known = compiled.get(schema) ?? z.fromJSONSchema(standalone(schema));
  compiled.set(schema, known);
  return known.safeParse(value).success;
}

function requestOf({
  path,
  method,
  operation,
}: (typeof operations)[number]): fc.Arbitrary<FuzzRequest> {
  const parameters = operation.parameters ?? [];
  const bodySchema = operation.requestBody?.content['application/json'].schema;
  return fc
    .record({
      parameters: fc.record(
        Object.fromEntries(parameters.map((p) => [p.name, nearlyValid(p.schema, schemas)])),
        { requiredKeys: parameters.filter((p) => p.in === 'path').map((p) => p.name) },
      ),
      body: bodySchema === undefined ? fc.constant(undefined) : nearlyValid(bodySchema, schemas),
    })
    .map((parts) => ({ operation, path, method: method.toUpperCase(), ...parts }));
}

const asText = (value: unknown) =>
  (typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).toWellFormed();

function urlOf({ path, operation, parameters }: FuzzRequest): string {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    // An empty segment, . and .. would be another path.
    encodeURIComponent(asText(parameters[name]) || 'x').replaceAll('.', '%2E'),
  );
  const query = (operation.parameters ?? [])
    .filter((p) => p.in === 'query' && Object.hasOwn(parameters, p.name))
    .map((p) => `${p.name}=${encodeURIComponent(asText(parameters[p.name]))}`);
  return query.length === 0 ? filled : `${filled}?${query.join('&')}`;
}

/** Whether the document itself forbids the body. */
const isForbidden = ({ operation, body }: FuzzRequest) => {
  const schema = operation.requestBody?.content['application/json'].schema;
  return schema !== undefined && !allows(schema, body);
};

function check(request: FuzzRequest, reply: Reply): void {
  const { responses } = request.operation;
  const documented = responses[String(reply.status)];
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
    expect(JSON.stringify(documented!.content)).toContain(`"${code}"`);
  } else {
    const schema = documented!.content?.[type]?.schema;
    if (schema !== undefined) expect(allows(schema, reply.json)).toBe(true);
  }
  if (!request.path.startsWith('/docs')) expect(leaksIn(reply.text)).toEqual([]);
  expect(reply.headers.get('x-request-id')).toMatch(/^[0-9a-f]{32}$/);
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
}

let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
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
        fc.asyncProperty(fc.oneof(...operations.map(requestOf)), async (request) => {
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
    },
  );
});
