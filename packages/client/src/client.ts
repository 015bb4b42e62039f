/**
 * The client: one method for each operation of the API, typed by the contracts. Imports types only, so that
 * a browser loads neither schemas nor anything of Node.
 */
import type {
  ClientChange,
  ErasureAccepted,
  ErasureAnswer,
  EventBody,
  EventsAnswer,
  HealthAnswer,
  Item,
  ItemBody,
  ItemsBody,
  ItemsWriteAnswer,
  ItemWriteAnswer,
  KeyCreated,
  KeyRequest,
  KeysAnswer,
  ModelDetailAnswer,
  ModelsAnswer,
  PublishAnswer,
  PublishRunAnswer,
  ReadinessAnswer,
  RecommendationsAnswer,
  RotatedKey,
  Rotation,
  SessionBody,
  SimilarRequestBody,
  Tier,
  TierList,
  TierRequest,
  TiersAnswer,
  TrainingRunAnswer,
  TrainingRunBody,
  TrainingRunsAnswer,
  UserRequestBody,
} from '@nestrec/contracts';
import { identified } from './events.js';
import { operations, type OperationName, type QueryOf } from './operations.js';
import { createSend, type Call, type CallOptions } from './transport.js';
import { waitMs } from './wait.js';

export interface ClientOptions {
  /** Address of the API, `https://shop.example/nestrec`. */
  readonly url: string | URL;
  /** API key; absent for what needs none. */
  readonly key?: string | undefined;
  /** Limit of each try. Default: 10,000. */
  readonly timeoutMs?: number | undefined;
  /** Further tries after a 429, a 503 or no answer, where that is safe. Default: 3. */
  readonly retries?: number | undefined;
  /** The longest Retry-After that is waited for; a longer one is the caller's to decide. Default: 30,000. */
  readonly maxWaitMs?: number | undefined;
  /** Default: the platform's. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/**
 * All methods reject with a NestrecClientError: NestrecApiError where the server answered, with its code,
 * status and request id; NestrecConnectionError where no answer came.
 */
export interface NestrecClient {
  /**
   * Sends up to 1,000 events, all or none; resolves when they are durable. Events without an id or a time
   * are given both before the first try, so that a repeated request changes nothing. Pass `token` as
   * `after` to `recommend` to read what these events have changed.
   */
  sendEvents(events: readonly EventBody[], options?: CallOptions): Promise<EventsAnswer>;
  /** A ranked list for a user. With `after`, tries again while the events are on their way. */
  recommend(
    userId: string,
    query?: QueryOf<'recommend'>,
    options?: CallOptions,
  ): Promise<RecommendationsAnswer>;
  /** The same with filters, boosts and ids to leave out, which do not fit into a URL. */
  recommendWith(
    userId: string,
    request: UserRequestBody,
    options?: CallOptions,
  ): Promise<RecommendationsAnswer>;
  /** A ranked list for the items of an anonymous session, oldest first. */
  recommendForSession(session: SessionBody, options?: CallOptions): Promise<RecommendationsAnswer>;
  /** Items like this one. */
  similarItems(
    itemId: string,
    query?: QueryOf<'similarItems'>,
    options?: CallOptions,
  ): Promise<RecommendationsAnswer>;
  /** The same with a filter and ids to leave out, which do not fit into a URL. */
  similarItemsWith(
    itemId: string,
    request: SimilarRequestBody,
    options?: CallOptions,
  ): Promise<RecommendationsAnswer>;
  /** Erases one event of a user; `getErasure` tells when it is done. */
  eraseEvent(userId: string, eventId: string, options?: CallOptions): Promise<ErasureAccepted>;
  /** Erases all that is known of a user; `getErasure` tells when it is done. */
  eraseUser(userId: string, options?: CallOptions): Promise<ErasureAccepted>;
  /** What has become of an erasure. */
  getErasure(receipt: string, options?: CallOptions): Promise<ErasureAnswer>;
  /** Writes an item whole; it is recommendable when this resolves. */
  putItem(itemId: string, item: ItemBody, options?: CallOptions): Promise<ItemWriteAnswer>;
  /** Writes up to 1,000 items; the answer says of each whether it was written. */
  putItems(items: ItemsBody['items'], options?: CallOptions): Promise<ItemsWriteAnswer>;
  getItem(itemId: string, options?: CallOptions): Promise<Item>;
  /** Removes an item; `item_not_found` where it is gone already, also by a first try that got no answer. */
  deleteItem(itemId: string, options?: CallOptions): Promise<void>;
  /** What each tier is served, and its measured quality. */
  getTiers(options?: CallOptions): Promise<TiersAnswer>;
  /** The model versions, and which one answers. */
  getModels(options?: CallOptions): Promise<ModelsAnswer>;
  /** A model version, and how its publish stands. */
  getModel(version: string, options?: CallOptions): Promise<ModelDetailAnswer>;
  /**
   * Begins to make a version answer, which may take minutes: `getModel` says how it ends. Never tried again
   * by itself.
   */
  publishModel(
    version: string,
    query?: QueryOf<'publishModel'>,
    options?: CallOptions,
  ): Promise<PublishRunAnswer>;
  /** Goes back from the version that serves. Never tried again by itself. */
  rollbackModel(version: string, options?: CallOptions): Promise<PublishAnswer>;
  /** Queues a training; its publish is up to the checks. Never tried again by itself. */
  startTrainingRun(run: TrainingRunBody, options?: CallOptions): Promise<TrainingRunAnswer>;
  /** The newest training runs. */
  listTrainingRuns(
    query?: QueryOf<'listTrainingRuns'>,
    options?: CallOptions,
  ): Promise<TrainingRunsAnswer>;
  getTrainingRun(id: string, options?: CallOptions): Promise<TrainingRunAnswer>;
  /** Stops a training, or takes it out of the queue. */
  cancelTrainingRun(id: string, options?: CallOptions): Promise<TrainingRunAnswer>;
  /** Makes an API key; the answer is its only copy. Never tried again by itself. */
  createKey(key: KeyRequest, options?: CallOptions): Promise<KeyCreated>;
  listKeys(options?: CallOptions): Promise<KeysAnswer>;
  /** Revokes a key by its public id. */
  revokeKey(publicId: string, options?: CallOptions): Promise<void>;
  /** Makes a client a new key; its other keys live on for a while. Never tried again by itself. */
  rotateKey(client: string, rotation: Rotation, options?: CallOptions): Promise<RotatedKey>;
  /** Changes tier or scopes of all keys of a client. */
  putClient(client: string, change: ClientChange, options?: CallOptions): Promise<KeysAnswer>;
  /** The tiers as they are set. */
  listTiers(options?: CallOptions): Promise<TierList>;
  /** Makes or replaces a tier. */
  putTier(name: string, tier: TierRequest, options?: CallOptions): Promise<Tier>;
  /** Removes a tier that no key has. */
  deleteTier(name: string, options?: CallOptions): Promise<void>;
  /** The process is alive. */
  health(options?: CallOptions): Promise<HealthAnswer>;
  /** Resolves where the API is ready; otherwise the error's `body.checks` say what is not. */
  readiness(options?: CallOptions): Promise<ReadinessAnswer>;
  /** Prometheus text. */
  metrics(options?: CallOptions): Promise<string>;
  /** The OpenAPI document. */
  openApi(options?: CallOptions): Promise<Record<string, unknown>>;
  /** The documentation page, and the files that it loads. */
  docsPage(options?: CallOptions): Promise<string>;
  docsFile(file: string, options?: CallOptions): Promise<string>;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_RETRIES = 3;
const DEFAULT_MAX_WAIT_MS = 30_000;

export function createClient(options: ClientOptions): NestrecClient {
  const fetch = options.fetch ?? globalThis.fetch;
  const send = createSend({
    url: new URL(options.url),
    key: options.key ?? null,
    // Browsers refuse a fetch that is called as a method of something else.
    fetch: (input, init) => fetch(input, init),
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    retries: options.retries ?? DEFAULT_RETRIES,
    maxWaitMs: options.maxWaitMs ?? DEFAULT_MAX_WAIT_MS,
    wait: waitMs,
    random: Math.random,
  });
  const call = <T>(name: OperationName, parts: Call, limits: CallOptions | undefined) =>
    send(operations[name], parts, limits) as Promise<T>;
  return {
    sendEvents: async (events, limits) =>
      call('sendEvents', { body: { events: events.map(identified) } }, limits),
    recommend: (userId, query, limits) => call('recommend', { path: [userId], query }, limits),
    recommendWith: (userId, body, limits) =>
      call('recommendWith', { path: [userId], body }, limits),
    recommendForSession: (body, limits) => call('recommendForSession', { body }, limits),
    similarItems: (itemId, query, limits) =>
      call('similarItems', { path: [itemId], query }, limits),
    similarItemsWith: (itemId, body, limits) =>
      call('similarItemsWith', { path: [itemId], body }, limits),
    eraseEvent: (userId, eventId, limits) =>
      call('eraseEvent', { path: [userId, eventId] }, limits),
    eraseUser: (userId, limits) => call('eraseUser', { path: [userId] }, limits),
    getErasure: (receipt, limits) => call('getErasure', { path: [receipt] }, limits),
    putItem: (itemId, body, limits) => call('putItem', { path: [itemId], body }, limits),
    putItems: (items, limits) => call('putItems', { body: { items } }, limits),
    getItem: (itemId, limits) => call('getItem', { path: [itemId] }, limits),
    deleteItem: (itemId, limits) => call('deleteItem', { path: [itemId] }, limits),
    getTiers: (limits) => call('getTiers', {}, limits),
    getModels: (limits) => call('getModels', {}, limits),
    getModel: (version, limits) => call('getModel', { path: [version] }, limits),
    publishModel: (version, query, limits) =>
      call('publishModel', { path: [version], query }, limits),
    rollbackModel: (version, limits) => call('rollbackModel', { path: [version] }, limits),
    startTrainingRun: (body, limits) => call('startTrainingRun', { body }, limits),
    listTrainingRuns: (query, limits) => call('listTrainingRuns', { query }, limits),
    getTrainingRun: (id, limits) => call('getTrainingRun', { path: [id] }, limits),
    cancelTrainingRun: (id, limits) => call('cancelTrainingRun', { path: [id] }, limits),
    createKey: (body, limits) => call('createKey', { body }, limits),
    listKeys: (limits) => call('listKeys', {}, limits),
    revokeKey: (publicId, limits) => call('revokeKey', { path: [publicId] }, limits),
    rotateKey: (client, body, limits) => call('rotateKey', { path: [client], body }, limits),
    putClient: (client, body, limits) => call('putClient', { path: [client], body }, limits),
    listTiers: (limits) => call('listTiers', {}, limits),
    putTier: (name, body, limits) => call('putTier', { path: [name], body }, limits),
    deleteTier: (name, limits) => call('deleteTier', { path: [name] }, limits),
    health: (limits) => call('health', {}, limits),
    readiness: (limits) => call('readiness', {}, limits),
    metrics: (limits) => call('metrics', {}, limits),
    openApi: (limits) => call('openApi', {}, limits),
    docsPage: (limits) => call('docsPage', {}, limits),
    docsFile: (file, limits) => call('docsFile', { path: [file] }, limits),
  };
}
