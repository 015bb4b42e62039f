/** From an event's post to a recommendation that knows it, while a steady stream of events comes in. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom, type Random } from '@nestrec/random';
import { itemIdOf } from '../../helpers/published-artifact.js';
import { startService, type Scene } from './scene.js';

const BATCH = 10;
const PROBE_INTERVAL_MS = 100;
/** Probes before that are not counted: caches are cold. */
const WARM_UP_SECONDS = 5;

export interface Latency {
  readonly probes: number;
  /** Probes whose answer did not know the event within the API's limit. */
  readonly missed: number;
  readonly postedPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly mostMs: number;
}

export async function measureLatency(options: {
  readonly scene: Scene;
  readonly items: number;
  readonly rate: number;
  readonly seconds: number;
  readonly apiPort: number;
  readonly env: Readonly<Record<string, string>>;
}): Promise<Latency> {
  const { scene, env, apiPort, seconds } = options;
  const ingest = await startService('ingest', env, 'applying events');
  const api = await startService('api', { ...env, PORT: String(apiPort) }, 'listening');
  const client = createClient(`http://127.0.0.1:${apiPort}`, scene.apiKey);
  const random = createRandom(11);
  const endMs = performance.now() + 1_000 * (WARM_UP_SECONDS + seconds);
  try {
    const [posted, probes] = await Promise.all([
      load(client, options, random.fork('load'), endMs),
      probe(client, options.items, random.fork('probe'), endMs),
    ]);
    const counted = probes.slice((1_000 * WARM_UP_SECONDS) / PROBE_INTERVAL_MS);
    const times = counted.flatMap(({ ms }) => ms ?? []).sort((a, b) => a - b);
    const at = (share: number) =>
      times[Math.min(times.length - 1, Math.floor(share * times.length))]!;
    return {
      ...{ probes: counted.length, missed: counted.length - times.length },
      postedPerSecond: posted / (WARM_UP_SECONDS + seconds),
      ...{ p50Ms: at(0.5), p99Ms: at(0.99), mostMs: times.at(-1)! },
    };
  } finally {
    await api.stop();
    await ingest.stop();
  }
}

type Client = ReturnType<typeof createClient>;

function createClient(url: string, key: string) {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  return {
    post: async (events: object[]) => {
      const body = JSON.stringify({ events });
      const answer = await fetch(`${url}/v1/events`, { method: 'POST', headers, body });
      if (answer.status !== 202) throw new Error(`POST /v1/events: ${await answer.text()}`);
      return ((await answer.json()) as { token: string }).token;
    },
    /** How many events the answer's state knows; null where it did not get there in time. */
    eventsInState: async (user: string, token: string): Promise<number | null> => {
      const query = `k=10&dim=64&after=${token}`;
      const answer = await fetch(`${url}/v1/users/${user}/recommendations?${query}`, { headers });
      const body = (await answer.json()) as { served_by?: { events_in_state: number } };
      return answer.status === 200 ? body.served_by!.events_in_state : null;
    },
  };
}

/** Open loop: a batch is sent when it is due, whether or not those before it were answered. */
async function load(
  client: Client,
  { items, rate }: { readonly items: number; readonly rate: number },
  random: Random,
  endMs: number,
): Promise<number> {
  const intervalMs = (1_000 * BATCH) / rate;
  const posts: Promise<unknown>[] = [];
  for (let dueMs = performance.now(); dueMs < endMs; dueMs += intervalMs) {
    await sleep(Math.max(0, dueMs - performance.now()));
    const events = Array.from({ length: BATCH }, () => ({
      user_id: `user-${random.int(5_000)}`,
      item_id: itemIdOf(random.int(items)),
    }));
    posts.push(client.post(events));
  }
  await Promise.all(posts);
  return posts.length * BATCH;
}

async function probe(client: Client, items: number, random: Random, endMs: number) {
  const probes: Promise<{ ms: number | null }>[] = [];
  const one = async (n: number) => {
    const startMs = performance.now();
    const user = `probe-${n}`;
    const token = await client.post([{ user_id: user, item_id: itemIdOf(random.int(items)) }]);
    const known = await client.eventsInState(user, token);
    return { ms: known === 1 ? performance.now() - startMs : null };
  };
  for (let dueMs = performance.now(), n = 0; dueMs < endMs; dueMs += PROBE_INTERVAL_MS, n++) {
    await sleep(Math.max(0, dueMs - performance.now()));
    probes.push(one(n));
  }
  return Promise.all(probes);
}
