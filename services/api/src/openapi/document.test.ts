import { errorCatalogue } from '@nestrec/errors';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { documentedErrors } from '../http/documented-errors.js';
import { routes } from '../routes/index.js';
import { createOpenApiDocument, createOpenApiJson } from './document.js';

interface Operation {
  operationId: string;
  parameters?: { name: string; in: string; required: boolean; schema: unknown }[];
  requestBody?: { content: Record<string, { schema: unknown }> };
  responses: Record<string, { content?: Record<string, { schema?: unknown }> }>;
}
const document = createOpenApiDocument(routes) as {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
};
const cases = routes.map((route) => ({
  route,
  name: `${route.method} ${route.path}`,
  operation: document.paths[route.path]![route.method]!,
}));

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const json = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  const entries = Object.entries(json).filter(([word]) => word !== '$schema' && word !== '$defs');
  const text = JSON.stringify(Object.fromEntries(entries));
  // Named schemas stand among the components.
  return JSON.parse(text.replaceAll('#/$defs/', '#/components/schemas/')) as Record<
    string,
    unknown
  >;
}

describe('the OpenAPI document', () => {
  it('is OpenAPI 3.1 and holds exactly the routes that are served', () => {
    expect(document.openapi).toBe('3.1.0');
    const inDocument = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(inDocument.sort()).toEqual(cases.map(({ name }) => name).sort());
  });

  it.each(cases)(
    '$name has every status that can be answered, and no other',
    ({ route, operation }) => {
      const statuses = [
        ...Object.keys(route.answers),
        ...documentedErrors(route).map((error) => String(error.traits.status)),
      ];
      expect(Object.keys(operation.responses).sort()).toEqual([...new Set(statuses)].sort());
    },
  );

  it.each(cases)(
    '$name describes its parameters, body and answers by the schemas it parses with',
    ({ route, operation }) => {
      const body = route.body === undefined ? {} : schemaOf(route.body, 'input');
      expect(operation.requestBody?.content['application/json']?.schema ?? {}).toEqual(body);
      const names = [
        ...Object.keys(route.params?.shape ?? {}).map((name) => `path ${name}`),
        ...Object.keys(route.query?.shape ?? {}).map((name) => `query ${name}`),
      ];
      expect((operation.parameters ?? []).map((p) => `${p.in} ${p.name}`)).toEqual(names);
      for (const [status, answer] of Object.entries(route.answers)) {
        if (answer.schema === undefined) continue;
        const schema = schemaOf(answer.schema, 'output');
        expect(Object.values(operation.responses[status]!.content!)[0]!.schema).toEqual(schema);
      }
    },
  );

  it('has an operation id of its own for every route, and resolves every reference', () => {
    const ids = cases.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    const text = createOpenApiJson(routes);
    for (const [, reference] of text.matchAll(/"\$ref": "#\/([^"]+)"/g)) {
      const target = reference!
        .split('/')
        .reduce<unknown>(
          (at, part) => (at as Record<string, unknown> | undefined)?.[part],
          document,
        );
      expect(target, reference).toBeDefined();
    }
  });

  it('names codes of the catalogue only', () => {
    const codes = new Set(errorCatalogue.map((error) => error.code));
    for (const { route } of cases) {
      for (const error of documentedErrors(route)) expect(codes).toContain(error.code);
    }
  });

  it('is the same text every time', () => {
    expect(createOpenApiJson(routes)).toBe(createOpenApiJson(routes));
  });
});
