/**
 * Everything the API needs from outside, as narrow interfaces: what it reads, what it writes, and who
 * answers. The composition root fills them in (`stores.ts` over a database); tests use fakes or the same.
 */
import type {
  Item,
  ItemOutcome,
  Manifest,
  PublishReport,
  RecommendationsAnswer,
  Tier,
  TierPlan,
  TrainingRunRequest,
} from '@nestrec/contracts';
import type { ListOptions } from '@nestrec/retrieval';
import type {
  Clock,
  Logger,
  MetricsRegistry,
  ReadinessCheck,
  ReadinessGate,
} from '@nestrec/runtime';
import type {
  ApiKey,
  ClientChange,
  ErasureStatus,
  KeyLookup,
  NewApiKey,
  PublishRun,
  RetrievalFacts,
  Rotation,
  TrainingRun,
} from '@nestrec/storage';
import type { Receipt } from './erasures/receipt.js';
import type { ClaimStore } from './limits/claim-store.js';
import type { ApiSettings } from './settings.js';

/** API keys, as `@nestrec/storage` keeps them: the key itself is never stored. */
export interface KeyStore {
  /** Looks a presented key up. */
  find(presented: string, nowMs: number): Promise<KeyLookup>;
  /** Oldest first, revoked ones included. */
  list(): Promise<ApiKey[]>;
  /** Makes a key; `key` is the only copy there will ever be. @throws InvalidParameter, TooManyKeys */
  create(request: NewApiKey): Promise<{ key: string; publicId: string }>;
  /** Revokes for good; false where there is no such key. Twice keeps the first time. */
  revoke(publicId: string): Promise<boolean>;
  /** Makes a key like the client's present one, which then expires. @throws ClientNotFound, TooManyKeys */
  rotate(rotation: Rotation): Promise<{ key: string; publicId: string; replaced: string }>;
  /** Changes the keys of a client that work. @throws ClientNotFound, InvalidParameter for the tier */
  changeClient(client: string, change: ClientChange): Promise<ApiKey[]>;
}

export interface TierStore {
  list(): Promise<Tier[]>;
  /** Adds a tier or replaces the one of that name; true where it was added. */
  put(tier: Tier): Promise<boolean>;
  /** False where there is no such tier. @throws TierInUse while a key that works has it */
  remove(name: string): Promise<boolean>;
}

export interface CatalogueStore {
  get(itemId: string): Promise<Item | null>;
  /** Writes the item and embeds it in every live version. */
  put(item: Item): Promise<{ created: boolean; embeddedIn: string[] }>;
  /** Writes the items that the published model takes, and embeds them; one outcome each, in order. */
  putAll(items: readonly Item[]): Promise<ItemOutcome[]>;
  /** Removes the item from the catalogue and from every live version. False: there was none. */
  remove(itemId: string): Promise<boolean>;
}

export interface ErasureStore {
  /** What has become of the erasure that the receipt names, in the log of that topic. */
  find(topic: string, receipt: Receipt): Promise<ErasureStatus>;
}

export interface StoredModel {
  readonly version: string;
  readonly status: 'candidate' | 'published' | 'retired';
  readonly createdAtMs: number;
  readonly manifest: Manifest;
}

export interface ServedVersion extends Pick<RetrievalFacts, 'indexes' | 'plans'> {
  readonly version: string;
  readonly manifest: Manifest;
}

export interface ModelStore {
  list(): Promise<StoredModel[]>;
  /** The version that answers now, with what its indexes were measured to do; null before the first publish. */
  published(): Promise<ServedVersion | null>;
  previous(): Promise<string | null>;
  /** The newest attempt to publish each version. */
  reports(): Promise<ReadonlyMap<string, PublishReport>>;
  /** What was found when this version was published last; null where that is not known. */
  measured(version: string): Promise<PublishReport | null>;
}

export interface Publisher {
  /**
   * Begins to publish, unless it runs already; resolves to how it stands now.
   * @param force names who wants it published whatever the quality gate says; null: nobody
   * @throws ModelNotFound
   */
  publish(version: string, force: string | null): Promise<PublishRun>;
  /** The version's last publish that was asked for here or at another API process, or null. */
  publishing(version: string): Promise<PublishRun | null>;
  /**
   * @throws PublishRefused where `from` does not serve or there is nothing to go back to, PublishConflict where
   *   another moves the pointer at the same moment
   */
  rollback(from: string): Promise<{ published: string; previous: string | null }>;
}

export interface Serving {
  /** What answers now; null before the first. */
  peek(): { readonly version: string; readonly manifest: Manifest } | null;
  /** The published version that could not be loaded, where an older one serves in its stead. */
  failed(): string | null;
}

export interface TrainingRunStore {
  /** Queues a run; a trainer works at it in its turn. */
  request(request: TrainingRunRequest, requestedBy: string): Promise<TrainingRun>;
  find(id: bigint): Promise<TrainingRun | null>;
  /** Newest first. */
  list(limit: number): Promise<TrainingRun[]>;
  /** Calls one off, unless it is over; null where there is none. */
  cancel(id: bigint): Promise<TrainingRun | null>;
}

export interface Ranking {
  readonly k: number;
  /** The size asked for; absent: the greatest that `maxDim` allows. */
  readonly dim: number | undefined;
  /** The tier's limit; null: all of the model's sizes. */
  readonly maxDim: number | null;
  /** The tier's depth; null: the full one. */
  readonly exitBlocks: number | null;
  readonly plan: TierPlan;
  /** Say in the answer how the list was found. */
  readonly explain?: boolean | undefined;
  /** Sizes less than allowed, because of overload. */
  readonly stepsDown: number;
}

/** @throws NoPublishedModel, DimensionNotAllowed, InvalidRequest; similarItems also ItemNotFound */
export interface Recommender {
  recommendForUser(
    query: Ranking & ListOptions & { readonly userId: string; readonly excludeSeen: boolean },
  ): Promise<RecommendationsAnswer>;
  recommendForSession(
    query: Ranking &
      ListOptions & { readonly items: readonly string[]; readonly excludeSeen: boolean },
  ): Promise<RecommendationsAnswer>;
  similarItems(
    query: Ranking & Pick<ListOptions, 'filter' | 'exclude'> & { readonly itemId: string },
  ): Promise<RecommendationsAnswer>;
}

/** A place in the event log: partition and offset. */
export interface LogPosition {
  readonly partition: number;
  readonly offset: bigint;
}

/** The durable log; resolves once the records survive a crash. */
export interface EventAppender {
  readonly topic: string;
  append(
    records: readonly { readonly key: string; readonly value: Uint8Array }[],
  ): Promise<readonly LogPosition[]>;
}

/** Resolves true once all positions are applied to states, false when `timeoutMs` ran out first. */
export type WaitForEvents = (
  positions: readonly LogPosition[],
  timeoutMs: number,
) => Promise<boolean>;

export interface ApiDeps {
  readonly keys: KeyStore;
  readonly tiers: TierStore;
  /** Where limits of rate are counted; absent: in this process alone. */
  readonly claims?: ClaimStore;
  readonly catalogue: CatalogueStore;
  readonly erasures: ErasureStore;
  readonly models: ModelStore;
  readonly publisher: Publisher;
  readonly trainingRuns: TrainingRunStore;
  readonly recommender: Recommender;
  /** The model in the memory of this process, for metrics. */
  readonly serving?: Serving;
  readonly log: EventAppender;
  readonly waitForEvents: WaitForEvents;
  /** What `/readyz` asks, by name. */
  readonly checks: Readonly<Record<string, ReadinessCheck>>;
  /** Holds `/readyz` at 503 until the process says that it is ready; open where absent. */
  readonly gate?: ReadinessGate;
  readonly clock: Clock;
  /** Mean delay of the event loop since the last call, ms; absent: as Node measures it. */
  readonly readLoopDelayMs?: () => number;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly settings?: Partial<ApiSettings>;
}
