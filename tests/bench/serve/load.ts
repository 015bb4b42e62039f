/**
 * Loads of the API. At a rate: requests are sent when they are due, evenly, whatever the answers take, and a
 * latency counts from when its request was due, so that a stall is felt by all who came during it (open loop;
 * autocannon's own rates are bursts, one a second). The first two seconds open the connections and are not
 * counted: 32 at once are the generator's doing. As fast as it goes: so many connections, each of which
 * waits for its answer.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import autocannon from 'autocannon';
import { Pool } from 'undici';

export interface LoadOptions {
  readonly url: string;
  readonly key: string;
  readonly paths: readonly string[];
  /** Requests a second; null: as many as `connections` that wait for their answers can send. */
  readonly rate: number | null;
  readonly connections: number;
  readonly seconds: number;
}

export interface Load {
  readonly wantedPerSecond: number | null;
  /** Answers of 2xx. */
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly answers: number;
  /** Answers other than 2xx, and requests without one. */
  readonly failures: number;
}

export function load(options: LoadOptions): Promise<Load> {
  return options.rate === null ? closedLoop(options) : openLoop(options, options.rate);
}

const SETTLE_SECONDS = 2;

async function openLoop(
  { url, key, paths, connections, seconds }: LoadOptions,
  rate: number,
): Promise<Load> {
  const pool = new Pool(url, { connections, pipelining: 1 });
  const headers = { authorization: `Bearer ${key}` };
  const times: number[] = [];
  let failures = 0;
  const settled = performance.now() + SETTLE_SECONDS * 1_000;
  const ask = async (path: string, dueMs: number) => {
    try {
      const { statusCode, body } = await pool.request({ method: 'GET', path, headers });
      await body.dump();
      if (statusCode < 200 || statusCode >= 300) failures++;
      else if (dueMs >= settled) times.push(performance.now() - dueMs);
    } catch {
      failures++;
    }
  };
  const startedMs = performance.now();
  const asked: Promise<void>[] = [];
  const count = rate * (SETTLE_SECONDS + seconds);
  while (asked.length < count) {
    const due = Math.min(count, Math.ceil(((performance.now() - startedMs) / 1_000) * rate));
    for (let nth = asked.length; nth < due; nth++) {
      asked.push(ask(paths[nth % paths.length]!, startedMs + (nth / rate) * 1_000));
    }
    await sleep(1);
  }
  await Promise.all(asked);
  const took = (performance.now() - settled) / 1_000;
  await pool.close();
  times.sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round(10 * (times[Math.floor(share * times.length)] ?? Number.NaN)) / 10;
  return {
    ...{ wantedPerSecond: rate, perSecond: times.length / took, p50Ms: at(0.5), p99Ms: at(0.99) },
    ...{ answers: times.length, failures },
  };
}

/** Each connection has its own requests ready before the first is sent; more of them are seconds of work. */
const PATHS_PER_CONNECTION = 200;

async function closedLoop({ url, key, paths, connections, seconds }: LoadOptions): Promise<Load> {
  const headers = { authorization: `Bearer ${key}` };
  let nth = 0;
  const result = await autocannon({
    ...{ url, connections, duration: seconds, pipelining: 1 },
    setupClient: (client) => {
      const own = every(paths, connections, nth++).slice(0, PATHS_PER_CONNECTION);
      client.setRequests(own.map((path) => ({ method: 'GET', path, headers })));
    },
  });
  return {
    wantedPerSecond: null,
    perSecond: result['2xx'] / result.duration,
    ...{ p50Ms: result.latency.p50, p99Ms: result.latency.p99 },
    answers: result['2xx'],
    failures: result.non2xx + result.errors,
  };
}

/** Every `step`-th of the values, from the `first` on; all of them where there are fewer than steps. */
function every<T>(values: readonly T[], step: number, first: number): readonly T[] {
  return values.length < step ? values : values.filter((_, index) => index % step === first);
}
