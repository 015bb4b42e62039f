/** Two API processes over one database, without Kafka: keys, tiers and limits as clients meet them. */
import { Agent } from 'node:http';
import { createApiKey } from '@nestrec/storage';
import { freePort } from '../../helpers/processes.js';
import type { Build, ChaosContext } from './context.js';
import type { Ground } from './ground.js';
import { API, send, type Reply, type Target } from './http.js';
import { makeScene, type Scene } from './scene.js';
import { supervise, type Supervised } from './supervisor.js';

/** Its key cache forgets late, and each process counts alone. */
const BROKEN_API = new URL('../broken/lonely-api.ts', import.meta.url);
const SOCKETS_EACH = 25;

export interface PairedApi {
  readonly process: Supervised;
  readonly url: string;
  readonly agent: Agent;
}

export interface ApiPair {
  readonly scene: Scene;
  readonly apis: readonly [PairedApi, PairedApi];
  /** With a key of the scope admin. */
  readonly admin: Target;
}

export async function makeApiPair(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<ApiPair> {
  const scene = await makeScene(context, ground.postgres.url);
  const program = build === 'broken' ? BROKEN_API : API;
  const apis = await Promise.all([1, 2].map((n) => startOne(context, scene, program, n)));
  const [one, other] = apis;
  const { key } = await createApiKey(scene.db, {
    ...{ client: 'admin', tier: 'full', scopes: ['admin'] },
  });
  return { scene, apis: [one!, other!], admin: { url: one!.url, key } };
}

async function startOne(
  context: ChaosContext,
  scene: Scene,
  program: URL,
  n: number,
): Promise<PairedApi> {
  const port = await freePort();
  const process = supervise(
    {
      ...{ name: `api ${n}`, program, readyLine: /"msg":"listening"/ },
      env: { DATABASE_URL: scene.url, PORT: String(port), NESTREC_LOG_LEVEL: 'info' },
    },
    context.note,
  );
  const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_EACH });
  context.defer(() => agent.destroy());
  context.defer(() => process.kill());
  await process.start();
  return { process, url: `http://127.0.0.1:${port}`, agent };
}

/** Asks the two in turn with one key, over kept connections. */
export function alternately(pair: ApiPair, key: string, path: string) {
  return (index: number): Promise<Reply> => {
    const { url, agent } = pair.apis[index % 2]!;
    return send({ url, key, agent }, 'GET', path);
  };
}
