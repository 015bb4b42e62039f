/**
 * The typed client held to the server's route table: every route has a method, every method its route, and
 * what a method promises to return is what the route documents.
 *
 * A new route needs an entry in packages/client/src/operations.ts, a method in client.ts, and a line in
 * `ANSWERS` here.
 */
import * as contracts from '@nestrec/contracts';
import {
  createClient,
  operations,
  type NestrecClient,
  type Operation,
  type OperationName,
} from '@nestrec/client';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { routes } from '../../services/api/src/routes/index.js';

type AnswerOf<Name extends keyof NestrecClient> = Awaited<ReturnType<NestrecClient[Name]>>;
type Same<A, B> = [A, B] extends [B, A] ? true : false;

/** The contract of what each method resolves to; null where that is no JSON of a contract. */
const ANSWERS = {
  sendEvents: contracts.eventsAnswerSchema,
  recommend: contracts.recommendationsAnswerSchema,
  recommendWith: contracts.recommendationsAnswerSchema,
  recommendForSession: contracts.recommendationsAnswerSchema,
  similarItems: contracts.recommendationsAnswerSchema,
  similarItemsWith: contracts.recommendationsAnswerSchema,
  eraseEvent: contracts.erasureAcceptedSchema,
  eraseUser: contracts.erasureAcceptedSchema,
  getErasure: contracts.erasureAnswerSchema,
  putItem: contracts.itemWriteAnswerSchema,
  putItems: contracts.itemsWriteAnswerSchema,
  getItem: contracts.itemSchema,
  deleteItem: null,
  getTiers: contracts.tiersAnswerSchema,
  getModels: contracts.modelsAnswerSchema,
  getModel: contracts.modelDetailAnswerSchema,
  publishModel: contracts.publishRunAnswerSchema,
  rollbackModel: contracts.publishAnswerSchema,
  startTrainingRun: contracts.trainingRunAnswerSchema,
  listTrainingRuns: contracts.trainingRunsAnswerSchema,
  getTrainingRun: contracts.trainingRunAnswerSchema,
  cancelTrainingRun: contracts.trainingRunAnswerSchema,
  createKey: contracts.keyCreatedSchema,
  listKeys: contracts.keysAnswerSchema,
  revokeKey: null,
  rotateKey: contracts.rotatedKeySchema,
  putClient: contracts.keysAnswerSchema,
  listTiers: contracts.tierListSchema,
  putTier: contracts.tierSchema,
  deleteTier: null,
  health: contracts.healthAnswerSchema,
  readiness: contracts.readinessAnswerSchema,
  metrics: null,
  openApi: null,
  docsPage: null,
  docsFile: null,
} satisfies Record<OperationName, z.ZodType | null>;

/** `true` for every method whose type is its contract's; a wrong one does not compile. */
type Checked = {
  [Name in OperationName]: (typeof ANSWERS)[Name] extends z.ZodType
    ? Same<AnswerOf<Name>, z.infer<(typeof ANSWERS)[Name]>>
    : true;
};
const CHECKED: Record<OperationName, true> = {} as Checked;

const keyOf = ({ method, path }: { method: string; path: string }) =>
  `${method.toUpperCase()} ${path}`;
const entries = Object.entries(operations) as [OperationName, Operation][];
const routeOf = (operation: Operation) => routes.find((route) => keyOf(route) === keyOf(operation));

/** The type that a query parameter has in the route's schema. */
function parameterTypes(schema: z.ZodObject | undefined): Record<string, string> {
  if (schema === undefined) return {};
  const { properties = {} } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return Object.fromEntries(
    Object.entries(properties).map(([name, property]) => {
      const { type } = property as { type?: string };
      return [name, type === 'integer' ? 'number' : (type ?? 'unknown')];
    }),
  );
}

const jsonSchema = (schema: z.ZodType) =>
  z.toJSONSchema(schema, { io: 'output', unrepresentable: 'any' });

describe('the client and the route table', () => {
  it('every route has exactly one method of the client, and every method a route', () => {
    expect(entries.map(([, operation]) => keyOf(operation)).sort()).toEqual(
      routes.map(keyOf).sort(),
    );
    const client = createClient({ url: 'http://127.0.0.1:1' });
    expect(Object.keys(client).sort()).toEqual(Object.keys(operations).sort());
    expect(CHECKED).toBeDefined();
  });

  it.each(entries)('%s takes the query and the body that its route takes', (_name, operation) => {
    const route = routeOf(operation)!;
    expect(operation.query ?? {}).toEqual(parameterTypes(route.query));
    expect(operation.body === true).toBe(route.body !== undefined);
  });

  it.each(entries)('%s resolves to what its route documents', (name, operation) => {
    const [status, answer] = Object.entries(routeOf(operation)!.answers)[0]!;
    const contract = ANSWERS[name];
    if (contract !== null) {
      expect(answer.schema && jsonSchema(answer.schema)).toEqual(jsonSchema(contract));
    } else {
      expect(answer.schema).toBeUndefined();
    }
    if (operation.answer === 'nothing') expect(status).toBe('204');
    if (operation.answer === 'text') expect(answer.contentType).toBeDefined();
  });

  it('only what may be sent twice is sent twice: no POST but events and lists', () => {
    const repeated = entries.filter(([, one]) => one.repeatable && one.method === 'POST');
    expect(repeated.map(([name]) => name)).toEqual([
      'sendEvents',
      'recommendWith',
      'recommendForSession',
      'similarItemsWith',
    ]);
  });

  it.each(entries)('%s sends its method to its path', async (name, operation) => {
    const sent: string[] = [];
    const client = createClient({
      url: 'http://127.0.0.1:1/base/',
      fetch: async (input, init) => {
        sent.push(`${init!.method} ${new URL(String(input)).pathname}`);
        return new Response(operation.answer === 'nothing' ? null : '{}', {
          status: operation.answer === 'nothing' ? 204 : 200,
        });
      },
    });
    const ids = operation.path.match(/\{\w+\}/g)?.map((_, index) => `id ${index}`) ?? [];
    const rest = operation.body ? [name === 'sendEvents' || name === 'putItems' ? [] : {}] : [];
    const method = client[name] as (...args: unknown[]) => Promise<unknown>;
    await method(...ids, ...rest);
    let at = 0;
    const path = operation.path.replaceAll(/\{\w+\}/g, () => `id%20${at++}`);
    expect(sent).toEqual([`${operation.method} /base${path}`]);
  });
});
