/**
 * One load of the API: so many requests a second on kept-alive connections, whatever the answers take.
 * Latencies are corrected for coordinated omission by autocannon: a request that had to wait for a slow one
 * before it counts from when it was due.
 */
import autocannon from 'autocannon';

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
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly answers: number;
  /** Answers other than 2xx, and requests without one. */
  readonly failures: number;
}

/** Each connection has its own requests ready before the first is sent; more of them are seconds of work. */
const PATHS_PER_CONNECTION = 200;

export async function load(options: LoadOptions): Promise<Load> {
  const { url, key, paths, rate, connections, seconds } = options;
  const headers = { authorization: `Bearer ${key}` };
  let nth = 0;
  const result = await autocannon({
    ...{ url, connections, duration: seconds, pipelining: 1 },
    ...(rate === null ? {} : { overallRate: rate }),
    setupClient: (client) => {
      const own = every(paths, connections, nth++).slice(0, PATHS_PER_CONNECTION);
      client.setRequests(own.map((path) => ({ method: 'GET', path, headers })));
    },
  });
  return {
    wantedPerSecond: rate,
    perSecond: result.requests.total / result.duration,
    ...{ p50Ms: result.latency.p50, p99Ms: result.latency.p99 },
    answers: result['2xx'],
    failures: result.non2xx + result.errors,
  };
}

/** Every `step`-th of the values, from the `first` on; all of them where there are fewer than steps. */
function every<T>(values: readonly T[], step: number, first: number): readonly T[] {
  return values.length < step ? values : values.filter((_, index) => index % step === first);
}
