/**
 * Who may come in, before any work is done for them: a valid key, then the limits of its client. Requests
 * without a valid key are limited by address.
 */
import type { Tier } from '@nestrec/contracts';
import { RateLimited } from '@nestrec/errors';
import type { ApiKey } from '@nestrec/storage';
import type { Request, Response } from 'express';
import type { ApiDeps } from '../deps.js';
import type { ApiMetrics } from '../http/api-metrics.js';
import type { ApiLocals } from '../http/locals.js';
import type { Authenticator } from '../keys/authenticator.js';
import type { ApiSettings } from '../settings.js';
import { createAddressLimiter } from './address-limiter.js';
import { createMemoryClaims } from './claim-store.js';
import { createClientLimiter, type RatePolicy, type RateVerdict } from './client-limiter.js';

export interface Admission {
  /** The key of a request, within all limits. @throws Unauthorized, RateLimited */
  admit(req: Request, res: Response): Promise<ApiKey>;
  /** Counts a request that asks for nothing we have. @throws RateLimited */
  countStray(req: Request): void;
}

export interface AdmissionOptions {
  readonly deps: Pick<ApiDeps, 'claims' | 'clock' | 'logger'>;
  readonly settings: ApiSettings;
  readonly metrics: ApiMetrics;
  readonly authenticator: Authenticator;
}

const SECOND_MS = 1_000;
/** How often a store that is away is logged; the metric counts every time. */
const LOG_EVERY_MS = 60_000;

export function createAdmission(options: AdmissionOptions): Admission {
  const { deps, settings, metrics, authenticator } = options;
  const addresses = createAddressLimiter({
    clock: deps.clock,
    limit: settings.addressLimit,
    windowMs: settings.addressWindowMs,
  });
  const limitRate = createRateLimit(options);
  const limitConcurrency = createConcurrencyLimit(metrics);

  const takeAddress = (req: Request): void => {
    const waitMs = addresses.take(addressOf(req));
    if (waitMs === 0) return;
    metrics.rateLimited.inc({ tier: '', reason: 'address' });
    throw new RateLimited({
      retryAfterSeconds: secondsOf(waitMs),
      detail: `More than ${settings.addressLimit} requests without a valid key within ${settings.addressWindowMs / SECOND_MS} s came from this address; send a valid key, or wait for Retry-After.`,
    });
  };
  const authenticate = async (req: Request, res: Response): Promise<ApiKey> => {
    const { authorization } = req.headers;
    // A client that is known must not be locked out by a stranger behind the same address.
    const isKnown = authenticator.remembers(authorization);
    if (!isKnown) takeAddress(req);
    const key = await authenticator.authenticate(authorization, (reason) => {
      const locals = res.locals as ApiLocals;
      locals.authFailure = reason;
      locals.address = addressOf(req);
    });
    if (!isKnown) addresses.giveBack(addressOf(req));
    return key;
  };

  return {
    admit: async (req, res) => {
      const key = await authenticate(req, res);
      (res.locals as ApiLocals).client = key;
      limitConcurrency(key, res);
      await limitRate(key, res);
      return key;
    },
    countStray: takeAddress,
  };
}

/** `req.ip` is the peer, or what trusted proxies say of it. */
const addressOf = (req: Request) => req.ip ?? '';
const secondsOf = (ms: number) => Math.max(1, Math.ceil(ms / SECOND_MS));

/** A burst is the quota of a window that is as long as the rate takes to refill it. */
export function ratePolicyOf(tier: Tier): RatePolicy | null {
  const { requests_per_second: rate, burst } = tier;
  if (rate === null) return null;
  const quota = burst ?? rate;
  return { quota, windowMs: Math.round((quota / rate) * SECOND_MS) };
}

function createRateLimit({ deps, settings, metrics }: AdmissionOptions) {
  const { clock, logger } = deps;
  const fallback = createMemoryClaims();
  let loggedAtMs = Number.NEGATIVE_INFINITY;
  const limiter = createClientLimiter({
    store: deps.claims ?? fallback,
    fallback,
    clock,
    storeTimeoutMs: settings.limitStoreTimeoutMs,
    onStoreFailure: (error) => {
      metrics.limitStoreFailures.inc();
      if (clock.now() - loggedAtMs < LOG_EVERY_MS) return;
      loggedAtMs = clock.now();
      logger.warn(
        { err: error },
        'the store of rate limits is away: this process limits its clients alone until it is back',
      );
    },
  });
  return async (key: ApiKey, res: Response): Promise<void> => {
    const policy = ratePolicyOf(key.tier);
    if (policy === null) return;
    const verdict = await limiter.take(key.client, policy);
    setRateHeaders(res, policy, verdict);
    if (verdict.admitted) return;
    metrics.rateLimited.inc({ tier: key.tier.name, reason: 'rate' });
    const { requests_per_second, name } = key.tier;
    throw new RateLimited({
      retryAfterSeconds: secondsOf(verdict.retryAfterMs),
      detail: `The tier ${name} allows ${requests_per_second} requests a second and ${policy.quota} at once; wait for Retry-After, send fewer, or ask for another tier.`,
    });
  };
}

/** RateLimit and RateLimit-Policy as of draft-ietf-httpapi-ratelimit-headers. */
function setRateHeaders(res: Response, policy: RatePolicy, verdict: RateVerdict): void {
  const { quota, windowMs } = policy;
  res.setHeader('RateLimit-Policy', `"client";q=${quota};w=${secondsOf(windowMs)}`);
  res.setHeader('RateLimit', `"client";r=${verdict.remaining};t=${secondsOf(verdict.resetMs)}`);
}

function createConcurrencyLimit(metrics: ApiMetrics) {
  const inFlight = new Map<string, number>();
  return (key: ApiKey, res: Response): void => {
    const { client, tier } = key;
    const { max_concurrency: limit } = tier;
    if (limit === null) return;
    const count = inFlight.get(client) ?? 0;
    if (count >= limit) {
      metrics.rateLimited.inc({ tier: tier.name, reason: 'concurrency' });
      throw new RateLimited({
        retryAfterSeconds: 1,
        detail: `The tier ${tier.name} allows ${limit} requests at once; wait for answers before you send more, or ask for another tier.`,
      });
    }
    // A connection that is gone by now will not close again.
    if (res.closed) return;
    inFlight.set(client, count + 1);
    res.once('close', () => {
      const left = (inFlight.get(client) ?? 1) - 1;
      if (left > 0) inFlight.set(client, left);
      else inFlight.delete(client);
    });
  };
}
