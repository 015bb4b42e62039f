/**
 * D3: a key that is revoked or moved to a smaller tier acts so within 2 s, in every process, while it sends
 * 200 requests a second over 50 kept connections to two of them. The broken build believes keys for 10 s.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createApiKey } from '@nestrec/storage';
import { alternately, makeApiPair, type ApiPair } from './harness/api-pair.js';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { openLoop, send, type Reply } from './harness/http.js';

const PER_SECOND = 200;
const ROUNDS = 10;
const TWIN_ROUNDS = 1;
const WITHIN_MS = 2_000;
const BEFORE_MS = 1_500;
const AFTER_MS = 4_000;
/** More than the tier basic allows, and less than full. */
const ABOVE_BASIC = '/v1/users/u1/recommendations?k=50';

interface Change {
  readonly name: 'revoked' | 'downgraded';
  /** Resolves to the status of the answer. */
  act(pair: ApiPair, id: string, client: string): Promise<number>;
}

const CHANGES: readonly Change[] = [
  {
    name: 'revoked',
    act: async ({ admin }, id) => (await send(admin, 'DELETE', `/v1/admin/keys/${id}`)).status,
  },
  {
    name: 'downgraded',
    act: async ({ admin }, _id, client) =>
      (await send(admin, 'PUT', `/v1/admin/clients/${client}`, { tier: 'basic' })).status,
  },
];

export async function changeKeysUnderLoad(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const pair = await makeApiPair(context, ground, build);
  const judge = createJudge();
  const rounds = context.scaled(build === 'broken' ? TWIN_ROUNDS : ROUNDS);
  const worstMs = { revoked: 0, downgraded: 0 };
  let requests = 0;
  let late = 0;
  for (let round = 0; round < rounds; round++) {
    for (const change of CHANGES) {
      const { replies, changedAtMs } = await underLoad(pair, change, `${change.name}-${round}`);
      const accepted = replies.filter((reply) => reply.status === 200);
      const before = accepted.filter(({ atMs }) => atMs < changedAtMs).length;
      judge.atLeast(
        `accepted before it was ${change.name}`,
        before,
        (PER_SECOND * BEFORE_MS) / 4_000,
      );
      const delaysMs = accepted.map(({ atMs }) => atMs - changedAtMs);
      worstMs[change.name] = Math.max(worstMs[change.name], ...delaysMs);
      late += delaysMs.filter((delayMs) => delayMs > WITHIN_MS).length;
      requests += replies.length;
    }
    context.note(`round ${round + 1}: last accepted ${JSON.stringify(worstMs)} ms after`);
  }
  judge.equal(`accepted later than ${WITHIN_MS} ms`, late, 0);
  return {
    measures: {
      ...{ rounds, requests },
      'accepted later than 2 s': late,
      'last accepted after revoking': `${Math.round(worstMs.revoked)} ms`,
      'after a downgrade': `${Math.round(worstMs.downgraded)} ms`,
    },
    failures: judge.failures,
  };
}

async function underLoad(
  pair: ApiPair,
  change: Change,
  client: string,
): Promise<{ replies: readonly Reply[]; changedAtMs: number }> {
  const { key, publicId } = await createApiKey(pair.scene.db, {
    ...{ client, tier: 'full', scopes: ['recommend'] },
  });
  const load = openLoop(PER_SECOND, alternately(pair, key, ABOVE_BASIC));
  await sleep(BEFORE_MS);
  const status = await change.act(pair, publicId, client);
  if (status >= 300) throw new Error(`${change.name}: got ${status}, wanted success`);
  const changedAtMs = performance.now();
  await sleep(AFTER_MS);
  return { replies: await load.stop(), changedAtMs };
}
