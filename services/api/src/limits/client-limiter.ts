/**
 * The rate of one client over all processes: `quota` requests in a sliding window of `windowMs`.
 *
 * Processes claim tokens from the store in chunks and spend them here, so few requests wait for the store.
 * The slide: of the window before, the part that still lies within the last `windowMs` counts as if its
 * claims had been even (the two-counter estimate); so a burst at the end of one window is not doubled at
 * the beginning of the next. A claim that is not spent ends with its window: what is admitted stays below
 * the quota, never above. Where the store is away the process counts alone (`fallback`) until it is back.
 */
import type { Clock } from '@nestrec/runtime';
import type { ClaimStore } from './claim-store.js';

export interface RatePolicy {
  readonly quota: number;
  readonly windowMs: number;
}

export interface RateVerdict {
  readonly admitted: boolean;
  /** Requests that would be admitted now, as far as this process knows. */
  readonly remaining: number;
  /** Until the window ends. */
  readonly resetMs: number;
  /** Until a request may be admitted; 0 where this one was. */
  readonly retryAfterMs: number;
}

export interface ClientLimiter {
  take(client: string, policy: RatePolicy): Promise<RateVerdict>;
  /** Clients of whom something is kept. */
  readonly size: number;
}

export interface ClientLimiterOptions {
  readonly store: ClaimStore;
  readonly fallback: ClaimStore;
  readonly clock: Clock;
  /** Called for every claim that the store did not answer. */
  readonly onStoreFailure: (error: unknown) => void;
  /** A store that has not answered by then is away. */
  readonly storeTimeoutMs: number;
  /** Above this, clients not seen lately are forgotten; they lose what was claimed and not spent. */
  readonly maxClients?: number;
}

/** Part of the quota that a process claims at once; as much may be lost at the end of a window. */
const CHUNK_PART = 1 / 40;
/** A store that failed is asked again after this. */
const STORE_PAUSE_MS = 1_000;
const MAX_CLIENTS = 100_000;

/** What is known of a client in its present window. */
interface Account {
  readonly policy: RatePolicy;
  index: number;
  /** Claimed and not spent. */
  tokens: number;
  /** Claimed by all processes: in this window as of our last claim, and in the one before. */
  claimed: number;
  before: number | null;
  /** The store has nothing until then. */
  emptyUntilMs: number;
  waiting: number;
  claiming: Promise<void> | null;
}

export function createClientLimiter(options: ClientLimiterOptions): ClientLimiter {
  const { clock, maxClients = MAX_CLIENTS } = options;
  const accounts = createGenerations<Account>(maxClients);
  const source = createSource(options);

  const accountOf = (client: string, policy: RatePolicy): Account => {
    const index = Math.floor(clock.now() / policy.windowMs);
    let account = accounts.get(client);
    if (account?.policy.quota !== policy.quota || account.policy.windowMs !== policy.windowMs) {
      account = { policy, ...emptyWindow(index), waiting: 0, claiming: null };
      accounts.set(client, account);
    }
    if (account.index !== index) Object.assign(account, emptyWindow(index));
    return account;
  };

  const claim = (client: string, account: Account): Promise<void> => {
    const wanted = Math.max(chunkOf(account.policy), account.waiting);
    account.claiming ??= claimTokens(client, account, wanted, source, clock).finally(() => {
      account.claiming = null;
    });
    return account.claiming;
  };

  return {
    take: async (client, policy) => {
      let account = accountOf(client, policy);
      account.waiting++;
      const waitsOn = account;
      try {
        while (account.tokens < 1 && clock.now() >= account.emptyUntilMs) {
          await claim(client, account);
          account = accountOf(client, policy);
        }
      } finally {
        waitsOn.waiting--;
      }
      if (account.tokens < 1) return refusal(account, clock.now());
      account.tokens--;
      // The next chunk is on its way before this one is spent, so that a steady stream never waits.
      const isLow = account.tokens < chunkOf(policy) / 2;
      if (isLow && account.claiming === null && clock.now() >= account.emptyUntilMs) {
        void claim(client, account);
      }
      return { admitted: true, ...stateOf(account, clock.now()), retryAfterMs: 0 };
    },
    get size() {
      return accounts.size;
    },
  };
}

/**
 * A map of at most `max` names, which forgets those that were not asked for lately, half of them at a time.
 * Taking the oldest name out of one map, one by one, costs V8 a walk over all that were taken before.
 */
function createGenerations<T>(max: number) {
  let young = new Map<string, T>();
  let old = new Map<string, T>();
  const set = (name: string, value: T): void => {
    if (young.size >= max / 2) {
      old = young;
      young = new Map();
    }
    young.set(name, value);
  };
  return {
    set,
    get: (name: string): T | undefined => {
      const known = young.get(name);
      if (known !== undefined) return known;
      const aged = old.get(name);
      if (aged === undefined) return undefined;
      old.delete(name);
      set(name, aged);
      return aged;
    },
    get size() {
      return young.size + old.size;
    },
  };
}

const emptyWindow = (index: number) => ({
  ...{ index, tokens: 0, claimed: 0, before: null, emptyUntilMs: 0 },
});

const chunkOf = ({ quota }: RatePolicy) => Math.ceil(quota * CHUNK_PART);

/** How much all processes together may have claimed of this window by now. */
function allowedBy(account: Account, nowMs: number): number {
  const { quota, windowMs } = account.policy;
  const passed = Math.min(1, Math.max(0, nowMs / windowMs - account.index));
  return Math.floor(quota - (account.before ?? 0) * (1 - passed));
}

async function claimTokens(
  client: string,
  account: Account,
  wanted: number,
  source: Source,
  clock: Clock,
): Promise<void> {
  const { index } = account;
  const { quota, windowMs } = account.policy;
  const window = { key: `${client}:${quota}:${windowMs}`, windowMs, index };
  const { before, sum, granted } = await source.claim(window, wanted, account.before, (b, now) =>
    allowedBy({ ...account, before: b }, now),
  );
  // What was claimed of a window that is over by now is lost: it must not be spent in the next.
  if (account.index !== index || Math.floor(clock.now() / windowMs) !== index) return;
  account.before = before;
  account.claimed = sum;
  account.tokens += granted;
  if (granted < wanted) account.emptyUntilMs = refilledAtMs(account, clock.now());
}

/** When the slide will have freed a chunk: in this window, or in the next, where this one's claims age. */
function refilledAtMs(account: Account, nowMs: number): number {
  const { quota, windowMs } = account.policy;
  const chunk = chunkOf(account.policy);
  const before = account.before ?? 0;
  const endMs = (account.index + 1) * windowMs;
  const needed = account.claimed + chunk;
  if (needed <= quota && before > 0) {
    const passed = 1 - (quota - needed) / before;
    return Math.max(nowMs + 1, Math.ceil((account.index + passed) * windowMs));
  }
  const firstInNext = account.claimed > 0 ? 1 - (quota - chunk) / account.claimed : 0;
  return Math.ceil(endMs + Math.max(0, firstInNext) * windowMs);
}

function stateOf(account: Account, nowMs: number) {
  const left = account.tokens + Math.max(0, allowedBy(account, nowMs) - account.claimed);
  const resetMs = (account.index + 1) * account.policy.windowMs - nowMs;
  return { remaining: Math.min(left, account.policy.quota), resetMs };
}

function refusal(account: Account, nowMs: number): RateVerdict {
  const { resetMs } = stateOf(account, nowMs);
  const retryAfterMs = Math.max(1, account.emptyUntilMs - nowMs);
  return { admitted: false, remaining: 0, resetMs, retryAfterMs };
}

interface Claimed {
  readonly before: number;
  readonly sum: number;
  readonly granted: number;
}

interface Source {
  claim(
    window: { key: string; windowMs: number; index: number },
    wanted: number,
    before: number | null,
    allowed: (before: number, nowMs: number) => number,
  ): Promise<Claimed>;
}

/** The store, and the fallback for as long as the store is away. */
function createSource(options: ClientLimiterOptions): Source {
  const { store, fallback, clock, onStoreFailure, storeTimeoutMs } = options;
  let pausedUntilMs = 0;
  const claimFrom = async (from: ClaimStore, ...args: Parameters<Source['claim']>) => {
    const [window, wanted, known, allowed] = args;
    const before = known ?? (await from.read({ ...window, index: window.index - 1 }));
    const after = await from.add(window, wanted);
    const room = allowed(before, clock.now()) - (after - wanted);
    const granted = Math.min(wanted, Math.max(0, room));
    const sum = granted === wanted ? after : await from.add(window, granted - wanted);
    return { before, sum, granted };
  };
  return {
    claim: async (...args) => {
      if (clock.now() >= pausedUntilMs) {
        try {
          return await within(storeTimeoutMs, claimFrom(store, ...args));
        } catch (error) {
          pausedUntilMs = clock.now() + STORE_PAUSE_MS;
          onStoreFailure(error);
        }
      }
      return claimFrom(fallback, ...args);
    },
  };
}

async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`the store of rate limits did not answer within ${timeoutMs} ms`));
    }, timeoutMs);
  });
  // Whoever is late may still fail: nobody else listens by then.
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
