/**
 * The API's operations as data: one entry for each route, named as the client's method. A test holds the
 * table equal to the server's own (tests/unit/client-routes.test.ts): a route without an entry, a query
 * parameter or a body too few, fails.
 */

/** How the type of a query parameter reads in a URL. */
export type ParameterType = 'number' | 'boolean' | 'string';

export interface Operation {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** As in the OpenAPI document: `/v1/items/{id}`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, ParameterType>>;
  readonly body?: true;
  /** What a success holds; `json` where absent. */
  readonly answer?: 'text' | 'nothing';
  /**
   * Whether the same request may be sent again when its answer did not come. Never where a second one could
   * do something else than the first.
   */
  readonly repeatable: boolean;
  /** The least limit of a try, where the client's own would be too short. */
  readonly timeoutMs?: number;
}

const RANKING = { k: 'number', dim: 'number', explain: 'boolean' } as const;
const BULK_TIMEOUT_MS = 60_000;

export const operations = {
  /** Repeatable because each event is given its id before the first try. */
  sendEvents: { method: 'POST', path: '/v1/events', body: true, repeatable: true },
  recommend: {
    method: 'GET',
    path: '/v1/users/{id}/recommendations',
    query: {
      ...RANKING,
      exclude_seen: 'boolean',
      after: 'string',
      filter: 'string',
      diversity: 'number',
      cursor: 'string',
      because: 'boolean',
    },
    repeatable: true,
  },
  /** Reads only, as GET does. */
  recommendWith: {
    method: 'POST',
    path: '/v1/users/{id}/recommendations',
    body: true,
    repeatable: true,
  },
  /** Reads only: nothing of a session is stored. */
  recommendForSession: {
    method: 'POST',
    path: '/v1/sessions/recommendations',
    body: true,
    repeatable: true,
  },
  similarItems: {
    method: 'GET',
    path: '/v1/items/{id}/similar',
    query: { ...RANKING, filter: 'string' },
    repeatable: true,
  },
  /** Reads only, as GET does. */
  similarItemsWith: {
    method: 'POST',
    path: '/v1/items/{id}/similar',
    body: true,
    repeatable: true,
  },
  eraseEvent: {
    method: 'DELETE',
    path: '/v1/users/{id}/events/{event_id}',
    repeatable: true,
  },
  eraseUser: { method: 'DELETE', path: '/v1/users/{id}', repeatable: true },
  getErasure: { method: 'GET', path: '/v1/erasures/{receipt}', repeatable: true },
  putItem: { method: 'PUT', path: '/v1/items/{id}', body: true, repeatable: true },
  putItems: {
    method: 'PUT',
    path: '/v1/items',
    body: true,
    repeatable: true,
    timeoutMs: BULK_TIMEOUT_MS,
  },
  getItem: { method: 'GET', path: '/v1/items/{id}', repeatable: true },
  deleteItem: { method: 'DELETE', path: '/v1/items/{id}', answer: 'nothing', repeatable: true },
  getTiers: { method: 'GET', path: '/v1/tiers', repeatable: true },
  getModels: { method: 'GET', path: '/v1/models', repeatable: true },
  getModel: { method: 'GET', path: '/v1/models/{version}', repeatable: true },
  publishModel: {
    method: 'POST',
    path: '/v1/models/{version}/publish',
    query: { force: 'boolean' },
    repeatable: false,
  },
  rollbackModel: { method: 'POST', path: '/v1/models/{version}/rollback', repeatable: false },
  startTrainingRun: {
    method: 'POST',
    path: '/v1/training-runs',
    body: true,
    repeatable: false,
  },
  listTrainingRuns: {
    method: 'GET',
    path: '/v1/training-runs',
    query: { limit: 'number' },
    repeatable: true,
  },
  getTrainingRun: { method: 'GET', path: '/v1/training-runs/{id}', repeatable: true },
  cancelTrainingRun: { method: 'DELETE', path: '/v1/training-runs/{id}', repeatable: true },
  createKey: { method: 'POST', path: '/v1/admin/keys', body: true, repeatable: false },
  listKeys: { method: 'GET', path: '/v1/admin/keys', repeatable: true },
  revokeKey: {
    method: 'DELETE',
    path: '/v1/admin/keys/{id}',
    answer: 'nothing',
    repeatable: true,
  },
  rotateKey: {
    method: 'POST',
    path: '/v1/admin/clients/{id}/rotate',
    body: true,
    repeatable: false,
  },
  putClient: { method: 'PUT', path: '/v1/admin/clients/{id}', body: true, repeatable: true },
  listTiers: { method: 'GET', path: '/v1/admin/tiers', repeatable: true },
  putTier: { method: 'PUT', path: '/v1/admin/tiers/{name}', body: true, repeatable: true },
  deleteTier: {
    method: 'DELETE',
    path: '/v1/admin/tiers/{name}',
    answer: 'nothing',
    repeatable: true,
  },
  health: { method: 'GET', path: '/healthz', repeatable: false },
  readiness: { method: 'GET', path: '/readyz', repeatable: false },
  metrics: { method: 'GET', path: '/metrics', answer: 'text', repeatable: true },
  openApi: { method: 'GET', path: '/openapi.json', repeatable: true },
  docsPage: { method: 'GET', path: '/docs', answer: 'text', repeatable: true },
  docsFile: { method: 'GET', path: '/docs/{file}', answer: 'text', repeatable: true },
} as const satisfies Record<string, Operation>;

export type OperationName = keyof typeof operations;

type TypeOf<T> = T extends 'number' ? number : T extends 'boolean' ? boolean : string;

/** The query of an operation; every parameter may be left out. */
export type QueryOf<Name extends OperationName> = (typeof operations)[Name] extends {
  readonly query: infer Query;
}
  ? { readonly [Parameter in keyof Query]?: TypeOf<Query[Parameter]> | undefined }
  : Record<string, never>;
