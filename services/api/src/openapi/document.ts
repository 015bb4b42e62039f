/**
 * The OpenAPI 3.1 document, generated from the route table: the same zod schemas that parse requests and
 * check answers, and the same list of errors that the fuzz test holds the pipeline to.
 */
import { filterSchema, problemSchema } from '@nestrec/contracts';
import type { ErrorClass } from '@nestrec/errors';
import { z } from 'zod';
import { documentedErrors } from '../http/documented-errors.js';
import type { AnswerSpec, Route } from '../http/route.js';

const API_VERSION = '1.0.0';

type Json = Record<string, unknown>;

/** The document as JSON text; the same routes always give the same text. */
export function createOpenApiJson(routes: readonly Route[]): string {
  return JSON.stringify(createOpenApiDocument(routes), null, 2);
}

export function createOpenApiDocument(routes: readonly Route[]): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const item = (paths[route.path] ??= {});
    item[route.method] = operation(route);
  }
  const schemas = { Problem: jsonSchema(problemSchema, 'output'), Filter: filterJsonSchema() };
  return {
    openapi: '3.1.0',
    info: {
      title: 'nestrec',
      version: API_VERSION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description:
        'Sequential recommendations at the dimension of the caller’s tier. Errors are application/problem+json: branch on code. Other methods on a path are 405 with Allow, other paths 404; requests that are not HTTP get 400, 408, 413 or 431 and the connection is closed. Bodies are UTF-8 JSON of at most 100,000 bytes (events: 1,000,000), 8 levels deep, each key once per object.',
    },
    paths,
    components: {
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'An API key: rk_live_...' },
      },
      headers: {
        RequestId: {
          description: 'The trace id of the traceparent header, or a new one.',
          schema: { type: 'string', pattern: '^[0-9a-f]{32}$' },
        },
      },
      schemas,
    },
  };
}

function operation(route: Route): Json {
  const { access } = route;
  return {
    operationId: operationId(route),
    summary: route.summary,
    description: [route.description, accessText(route)].filter(Boolean).join(' '),
    tags: [route.path.split('/')[2] ?? 'operations'],
    security: access.kind === 'scopes' ? [{ key: [] }] : [{}],
    ...parameters(route),
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: jsonSchema(route.body, 'input') } },
          },
        }),
    responses: responses(route),
  };
}

/** `get_v1_users_id_recommendations` */
function operationId(route: Route): string {
  return [route.method, ...route.path.split(/[^A-Za-z0-9]+/)]
    .filter((part) => part !== '')
    .join('_');
}

function accessText({ access }: Route): string {
  switch (access.kind) {
    case 'public':
      return 'Needs no key.';
    case 'operator':
      return 'Open to requests from the same machine; others need a key with the scope admin.';
    case 'scopes':
      return `Needs a key with the scope ${access.anyOf.join(' or ')}.`;
  }
}

function parameters(route: Route): Json {
  const list = [
    ...Object.entries(route.params?.shape ?? {}).map(([name, schema]) => ({
      name,
      in: 'path',
      required: true,
      schema: jsonSchema(schema, 'input'),
    })),
    ...Object.entries(route.query?.shape ?? {}).map(([name, schema]) => ({
      name,
      in: 'query',
      required: !z.safeParse(schema, undefined).success,
      schema: jsonSchema(schema, 'input'),
    })),
  ];
  return list.length === 0 ? {} : { parameters: list };
}

function responses(route: Route): Json {
  const result: Json = {};
  for (const [status, answer] of Object.entries(route.answers)) result[status] = success(answer);
  const byStatus = new Map<number, ErrorClass[]>();
  for (const error of documentedErrors(route)) {
    const { status } = error.traits;
    byStatus.set(status, [...(byStatus.get(status) ?? []), error]);
  }
  for (const [status, errors] of byStatus) result[status] ??= failure(errors);
  return result;
}

function success(answer: AnswerSpec): Json {
  const headers = REQUEST_ID_HEADERS;
  if (answer.contentType !== undefined) {
    return { description: answer.description, headers, content: { [answer.contentType]: {} } };
  }
  if (answer.schema === undefined) return { description: answer.description, headers };
  const type = answer.problem === true ? 'application/problem+json' : 'application/json';
  const content = { [type]: { schema: jsonSchema(answer.schema, 'output') } };
  return { description: answer.description, headers, content };
}

const REQUEST_ID_HEADERS = { 'X-Request-Id': { $ref: '#/components/headers/RequestId' } };

function failure(errors: readonly ErrorClass[]): Json {
  return {
    description: errors
      .map((error) => `\`${error.code}\`: ${error.traits.publicMessage}`)
      .join(' '),
    headers: REQUEST_ID_HEADERS,
    content: {
      'application/problem+json': {
        schema: {
          allOf: [
            { $ref: '#/components/schemas/Problem' },
            { properties: { code: { enum: errors.map((error) => error.code) } } },
          ],
        },
      },
    },
  };
}

/**
 * Without the name of the dialect, which OpenAPI 3.1 has as its default. Schemas with a name (`Filter`) stand
 * among the components, once.
 */
function jsonSchema(schema: z.core.$ZodType, io: 'input' | 'output'): Json {
  const entries = Object.entries(z.toJSONSchema(schema, JSON_OPTIONS[io]));
  return inComponents(
    Object.fromEntries(entries.filter(([keyword]) => !['$schema', '$defs'].includes(keyword))),
  );
}

/** A filter holds filters: the one schema that names itself. */
function filterJsonSchema(): Json {
  const { $defs } = z.toJSONSchema(z.strictObject({ filter: filterSchema }), JSON_OPTIONS.input);
  return inComponents($defs!['Filter']!);
}

const JSON_OPTIONS = {
  input: { io: 'input', unrepresentable: 'any' },
  output: { io: 'output', unrepresentable: 'any' },
} as const;

const inComponents = (schema: object): Json =>
  JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/')) as Json;
