/**
 * The API's dependencies in memory, for tests of routes: small, honest stand-ins that keep what they are
 * given. The real stores are tested in tests/integration.
 */
import {
  DEFAULT_TIERS,
  MANIFEST_FORMAT_VERSION,
  servedBlocks,
  type Item,
  type Manifest,
  type PublishReport,
  type Scope,
  type Tier,
} from '@nestrec/contracts';
import {
  ClientNotFound,
  ItemNotFound,
  ModelNotFound,
  NoPublishedModel,
  PublishRefused,
  TierInUse,
} from '@nestrec/errors';
import { resolveDim } from '@nestrec/retrieval';
import { createMetrics, manualClock, silentLogger, type ManualClock } from '@nestrec/runtime';
import {
  generateApiKey,
  hashApiKey,
  publicIdOf,
  type ApiKey,
  type ErasureStatus,
  type PublishRun,
  type RetrievalFacts,
  type TrainingRun,
} from '@nestrec/storage';
import type { ApiDeps, LogPosition, Ranking, StoredModel } from '../../../services/api/src/deps.js';

export const NOW_MS = Date.UTC(2026, 10, 23, 12);

export interface FakeWorld {
  readonly deps: ApiDeps;
  readonly clock: ManualClock;
  readonly items: Map<string, Item>;
  /** Values appended to the log, decoded. */
  readonly appended: { key: string; event: Record<string, unknown> }[];
  /** What has become of erasures, by the hash in their receipt; others are pending or unknown. */
  readonly erasures: Map<string, ErasureStatus>;
  readonly queries: (Ranking & Record<string, unknown>)[];
  readonly models: StoredModel[];
  /** What publishing found, by version. */
  readonly reports: Map<string, PublishReport>;
  readonly trainingRuns: TrainingRun[];
  /** First offset that is not applied; tests move it. */
  applied: bigint;
  published: string | null;
  /** What the indexes of the published version were measured to do. */
  measured: Pick<RetrievalFacts, 'indexes' | 'plans'>;
  /** The published version that this process serves an older one instead of. */
  failedToLoad: string | null;
  /** Makes a key at once; returns its text. */
  key(options?: {
    tier?: string | Tier;
    client?: string;
    scopes?: readonly Scope[];
    expiresAtMs?: number;
  }): string;
  revoke(key: string): void;
}

export const ALL_SCOPES: readonly Scope[] = [
  'recommend',
  'events:write',
  'users:erase',
  'catalogue:write',
  'admin',
];

/** @param overrides dependencies that a test replaces */
export function createFakeWorld(overrides: Partial<ApiDeps> = {}): FakeWorld {
  const clock = manualClock(NOW_MS);
  const keys = new Map<string, { hash: Uint8Array; key: ApiKey }>();
  const tiers = new Map(DEFAULT_TIERS.map((tier) => [tier.name, tier]));
  const entriesOf = (client: string) =>
    [...keys.values()].filter(
      ({ key }) =>
        key.client === client &&
        key.revokedAtMs === null &&
        (key.expiresAtMs ?? Infinity) > clock.now(),
    );
  const items = new Map<string, Item>([['i1', { item_id: 'i1', title: 'One', available: true }]]);
  const models = [model('v1'), model('v2')];
  const publishRuns = new Map<string, PublishRun>();
  const runOf = (version: string, state: PublishRun['state'], detail: string | null) => ({
    ...{ version, state, phase: 'swap', share: 1, detail },
    code: detail === null ? null : PublishRefused.code,
    ...{ startedAtMs: clock.now(), endedAtMs: clock.now() },
  });
  const addKey: FakeWorld['key'] = (options = {}) => {
    const { tier = 'full', client = 'tests', scopes = ALL_SCOPES, expiresAtMs } = options;
    const { key, publicId, hash } = generateApiKey();
    const found = typeof tier === 'string' ? tiers.get(tier)! : tier;
    keys.set(publicId, {
      hash,
      key: {
        publicId,
        client,
        tier: found,
        scopes,
        createdAtMs: clock.now(),
        expiresAtMs: expiresAtMs ?? null,
        revokedAtMs: null,
        lastUsedAtMs: null,
      },
    });
    return key;
  };
  const revoke = (publicId: string) => {
    const entry = keys.get(publicId);
    if (entry === undefined) return false;
    entry.key = { ...entry.key, revokedAtMs: entry.key.revokedAtMs ?? clock.now() };
    return true;
  };
  const world: FakeWorld = {
    clock,
    items,
    models,
    trainingRuns: [],
    appended: [],
    queries: [],
    erasures: new Map(),
    reports: new Map(),
    applied: 0n,
    published: 'v1',
    measured: { indexes: [], plans: [] },
    failedToLoad: null,
    key: addKey,
    revoke: (key) => void revoke(publicIdOf(key)!),
    deps: undefined as unknown as ApiDeps,
  };
  const requirePublished = () => {
    if (world.published === null) throw new NoPublishedModel();
    return models.find((one) => one.version === world.published)!;
  };
  const rank = (query: Ranking & Record<string, unknown>) => {
    const { version, manifest } = requirePublished();
    world.queries.push(query);
    const dim = resolveDim(manifest.config.sizes, query);
    return {
      items: Array.from({ length: query.k }, (_, i) => ({
        item_id: `r${i}`,
        score: 1 - i / 1_000,
        rank: i + 1,
      })),
      served_by: {
        model_version: version,
        dim,
        blocks: servedBlocks(manifest.config, dim, query.exitBlocks),
        plan: 'exact' as const,
        personalised: true,
        fallback: null,
        events_in_state: 1,
        state_at: new Date(NOW_MS).toISOString(),
        degraded: null,
      },
    };
  };
  const deps: ApiDeps = {
    keys: {
      find: async (text, nowMs) => {
        const entry = keys.get(publicIdOf(text) ?? '');
        if (entry === undefined) return { outcome: 'unknown' };
        if (!Buffer.from(entry.hash).equals(hashApiKey(text))) return { outcome: 'unknown' };
        if (entry.key.revokedAtMs !== null) return { outcome: 'revoked' };
        const { expiresAtMs } = entry.key;
        if (expiresAtMs !== null && expiresAtMs <= nowMs) return { outcome: 'expired' };
        return { outcome: 'valid', key: entry.key };
      },
      list: async () => [...keys.values()].map(({ key }) => key),
      create: async ({ client, tier, scopes, expiresAtMs }) => {
        const key = addKey({
          client,
          tier,
          scopes,
          ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
        });
        return { key, publicId: publicIdOf(key)! };
      },
      revoke: async (publicId) => revoke(publicId),
      rotate: async ({ client, overlapMs }) => {
        const [held] = entriesOf(client);
        if (held === undefined) throw new ClientNotFound();
        const { tier, scopes, publicId: replaced } = held.key;
        held.key = { ...held.key, expiresAtMs: clock.now() + overlapMs };
        const key = addKey({ client, tier, scopes });
        return { key, publicId: publicIdOf(key)!, replaced };
      },
      changeClient: async (client, change) => {
        const held = entriesOf(client);
        if (held.length === 0) throw new ClientNotFound();
        for (const entry of held) {
          const tier = tiers.get(change.tier ?? '') ?? entry.key.tier;
          entry.key = { ...entry.key, tier, scopes: change.scopes ?? entry.key.scopes };
        }
        return held.map(({ key }) => key);
      },
    },
    tiers: {
      list: async () => [...tiers.values()],
      put: async (tier) => {
        const added = !tiers.has(tier.name);
        tiers.set(tier.name, tier);
        for (const entry of keys.values()) {
          if (entry.key.tier.name === tier.name) entry.key = { ...entry.key, tier };
        }
        return added;
      },
      remove: async (name) => {
        if ([...keys.values()].some(({ key }) => key.tier.name === name)) throw new TierInUse();
        return tiers.delete(name);
      },
    },
    catalogue: {
      get: async (itemId) => items.get(itemId) ?? null,
      put: async (item) => {
        const created = !items.has(item.item_id);
        items.set(item.item_id, item);
        return { created, embeddedIn: world.published === null ? [] : [world.published] };
      },
      putAll: async (sent) =>
        sent.map((item) => {
          const outcome = items.has(item.item_id) ? 'updated' : 'created';
          items.set(item.item_id, item);
          const embedded_in = world.published === null ? [] : [world.published];
          return { item_id: item.item_id, outcome, embedded_in, error: null };
        }),
      remove: async (itemId) => items.delete(itemId),
    },
    erasures: {
      find: async (_topic, { offset, hash }) => {
        const known = world.erasures.get(hash);
        if (known !== undefined) return known;
        return { status: offset < world.applied ? 'unknown' : 'pending' };
      },
    },
    models: {
      list: async () => models,
      published: async () =>
        world.published === null ? null : { ...requirePublished(), ...world.measured },
      previous: async () => null,
      reports: async () => world.reports,
      measured: async (version) => world.reports.get(version) ?? null,
    },
    publisher: {
      publish: async (version, force) => {
        if (!models.some((one) => one.version === version)) throw new ModelNotFound();
        const refused = world.reports.get(version);
        if (refused?.outcome === 'refused') {
          if (force === null) {
            const run = runOf(version, 'refused', refused.reasons.join('; '));
            publishRuns.set(version, run);
            return run;
          }
          world.reports.set(version, { ...refused, outcome: 'published', forced_by: force });
        }
        world.published = version;
        const run = runOf(version, 'published', null);
        publishRuns.set(version, run);
        return run;
      },
      publishing: async (version) => publishRuns.get(version) ?? null,
      rollback: async (from) => {
        if (from !== world.published) {
          throw new PublishRefused({ detail: `${from} does not serve.` });
        }
        world.published = 'v1';
        return { published: 'v1', previous: null };
      },
    },
    trainingRuns: {
      request: async (request, requestedBy) => {
        const run = queuedRun(BigInt(world.trainingRuns.length + 1), { ...request, requestedBy });
        world.trainingRuns.unshift(run);
        return run;
      },
      find: async (id) => world.trainingRuns.find((run) => run.id === id) ?? null,
      list: async (limit) => world.trainingRuns.slice(0, limit),
      cancel: async (id) => {
        const at = world.trainingRuns.findIndex((run) => run.id === id);
        if (at < 0) return null;
        const run: TrainingRun = { ...world.trainingRuns[at]!, status: 'cancelled' };
        world.trainingRuns[at] = run;
        return run;
      },
    },
    recommender: {
      recommendForUser: async (query) => rank({ ...query }),
      recommendForSession: async (query) => rank({ ...query }),
      similarItems: async (query) => {
        if (!items.has(query.itemId)) throw new ItemNotFound({ detail: 'Unknown here.' });
        return rank({ ...query });
      },
    },
    serving: {
      peek: () => models.find((one) => one.version === world.published) ?? null,
      failed: () => world.failedToLoad,
    },
    log: {
      topic: 'interactions.v1',
      append: async (records) =>
        records.map(({ key, value }): LogPosition => {
          const text = Buffer.from(value).toString();
          world.appended.push({ key, event: JSON.parse(text) as Record<string, unknown> });
          return { partition: 0, offset: BigInt(world.appended.length - 1) };
        }),
    },
    waitForEvents: async (positions) => positions.every(({ offset }) => offset < world.applied),
    checks: { database: async () => undefined },
    clock,
    logger: silentLogger(),
    metrics: createMetrics(),
    ...overrides,
  };
  return Object.assign(world, { deps });
}

/** A version of sizes 8 to 64 with one measured row at 16. */
export function model(version: string): StoredModel {
  const manifest: Manifest = {
    formatVersion: MANIFEST_FORMAT_VERSION,
    version,
    createdAt: new Date(NOW_MS).toISOString(),
    nestrecVersion: '0.1.0',
    commit: null,
    seed: 1,
    config: {
      sizes: [8, 16, 32, 64],
      blocks: 1,
      featureWidth: 4,
      numItems: 10,
      useBias: true,
      itemResidual: true,
      scoreScale: true,
      rMin: 0,
      rMax: 0.5,
    },
    features: { modalities: [], missingIndicators: false },
    itemIdsSha256: '0'.repeat(64),
    data: { users: 5, items: 10, interactions: 50, from: null, to: null },
    training: {},
    quality: [
      {
        scorer: 'model@16',
        dim: 16,
        protocol: 'leave-one-out',
        part: 'test',
        seenMasked: true,
        cases: 5,
        metrics: { 'ndcg@10': 0.5 },
      },
    ],
    lambdaMax: 0.4,
    replayEvents: 20,
    files: [],
  };
  return { version, status: 'candidate', createdAtMs: NOW_MS, manifest };
}

/** A refusal of that version, with one tier and one index measured. */
export function refusedReport(version: string): PublishReport {
  const estimate = (mean: number) => ({ mean, low: mean - 0.01, high: mean + 0.01 });
  return {
    ...{ version, at: new Date(NOW_MS).toISOString(), outcome: 'refused', against: 'v1' },
    ...{ forced_by: null, reasons: ['tiers up to 16: worse'], margin: 0.05, min_recall: 0.95 },
    ...{ cases: 900, users: 300 },
    tiers: [
      {
        ...{ max_dim: 16, dim: 16, verdict: 'failed', reason: 'tiers up to 16: worse' },
        ...{ ndcg_at_10: estimate(0.3), recall_at_10: estimate(0.4) },
        ...{ popularity: 0.1, published: 0.5 },
        ...{ over_popularity: estimate(0.2), over_published: estimate(-0.2) },
      },
    ],
    indexes: [{ dim: 16, plan: 'prefix', recall_at_20: 0.98, p95_ms: 1.5, bytes: 4_096 }],
  };
}

/** A training run as it was asked for, and nothing more. */
export const queuedRun = (
  id: bigint,
  request: Pick<TrainingRun, 'requestedBy' | 'mode' | 'publish' | 'options'>,
): TrainingRun => ({
  ...{ id, ...request, requestedAtMs: NOW_MS, status: 'queued', attempt: 1, continues: null },
  retriedAs: null,
  ...{ holder: null, finishedAtMs: null, heartbeatAtMs: null, fence: null, cancelRequested: false },
  ...{ stage: null, share: null, version: null, published: false, reason: null },
});
