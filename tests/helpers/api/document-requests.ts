/**
 * Requests made from the OpenAPI document, for tests that walk the whole API: right ones and nearly right
 * ones, as values first and as method, address and body then.
 */
import fc from 'fast-check';
import { createOpenApiDocument, routes } from '../../../services/api/src/index.js';
import { nearlyValid, type Components, type JsonSchema } from './schema-arbitrary.js';

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required: boolean;
  readonly schema: JsonSchema;
}
export interface DocumentedAnswer {
  readonly content?: Record<string, { schema?: JsonSchema }>;
}
export interface Operation {
  readonly parameters?: Parameter[];
  readonly requestBody?: { content: { 'application/json': { schema: JsonSchema } } };
  readonly responses: Record<string, DocumentedAnswer>;
}
export interface FuzzRequest {
  readonly operation: Operation;
  readonly method: string;
  readonly path: string;
  readonly parameters: Record<string, unknown>;
  readonly body: unknown;
}

export const openApi = createOpenApiDocument(routes) as {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: { Problem: JsonSchema; Filter: JsonSchema } };
};
/** Every operation of the API. */
export const documented = Object.entries(openApi.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

/** A request for one operation; `make` makes values of a schema. */
export function requestOf(
  { path, method, operation }: (typeof documented)[number],
  make: (schema: JsonSchema, components: Components) => fc.Arbitrary<unknown> = nearlyValid,
): fc.Arbitrary<FuzzRequest> {
  const values = (schema: JsonSchema) => make(schema, openApi.components.schemas);
  const parameters = operation.parameters ?? [];
  const bodySchema = operation.requestBody?.content['application/json'].schema;
  return fc
    .record({
      parameters: fc.record(Object.fromEntries(parameters.map((p) => [p.name, values(p.schema)])), {
        requiredKeys: parameters.filter((p) => p.in === 'path').map((p) => p.name),
      }),
      body: bodySchema === undefined ? fc.constant(undefined) : values(bodySchema),
    })
    .map((parts) => ({ operation, path, method: method.toUpperCase(), ...parts }));
}

/** A value as it stands in a URL. */
export const asText = (value: unknown) =>
  (typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).toWellFormed();

/** A value as a segment of a path; an empty one, . and .. would be another path. */
export function asSegment(value: unknown): string {
  const text = asText(value);
  return /^\.{0,2}$/.test(text) ? 'x' : text;
}

/** Path and query of a request. */
export function urlOf({ path, operation, parameters }: FuzzRequest): string {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(asSegment(parameters[name])),
  );
  const query = (operation.parameters ?? [])
    .filter((p) => p.in === 'query' && Object.hasOwn(parameters, p.name))
    .map((p) => `${p.name}=${encodeURIComponent(asText(parameters[p.name]))}`);
  return query.length === 0 ? filled : `${filled}?${query.join('&')}`;
}
