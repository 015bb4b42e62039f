import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';
import { NOW_MS } from '../../../../../tests/helpers/api/fakes.js';

let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

const erase = async (userId: string) => {
  const before = api.world.appended.length;
  const reply = await api.call('DELETE', `/v1/users/${encodeURIComponent(userId)}`);
  return { reply, written: api.world.appended.slice(before) };
};

describe('DELETE /v1/users/{id} 202', () => {
  it('writes the erasure to the log under the key of its user, at the time of the request', async () => {
    const { reply, written } = await erase('u1');
    expect(reply.status).toBe(202);
    expect(reply.json).toEqual({
      receipt: expect.stringMatching(/^e1\.0\.0\.[\w-]{22}$/) as string,
      token: expect.any(String) as string,
    });
    expect(written).toEqual([
      {
        key: 'u1',
        event: {
          ...{ schema_version: 1, type: 'erase_user', user_id: 'u1', timestamp_ms: NOW_MS },
          event_id: expect.any(String) as string,
        },
      },
    ]);
  });

  it('asked twice, is two erasures: the second takes what came since', async () => {
    const [first, second] = [await erase('u1'), await erase('u1')];
    expect(first.written[0]!.event['event_id']).not.toBe(second.written[0]!.event['event_id']);
  });

  it('takes an id that looks like a path as it is, and says it in neither receipt nor token', async () => {
    const userId = '../../etc/passwd?k=1#%41 é';
    const { reply, written } = await erase(userId);
    expect(written[0]!.key).toBe(userId);
    const { token } = reply.json as { token: string };
    expect(reply.text + Buffer.from(token, 'base64url').toString()).not.toContain('passwd');
  });

  it('gives a token that waits for the erasure', async () => {
    const { token } = (await erase('u1')).reply.json as { token: string };
    const path = `/v1/users/u1/recommendations?after=${token}`;
    api.world.applied = 0n;
    expect((await api.call('GET', path)).status).toBe(503);
    api.world.applied = BigInt(api.world.appended.length);
    expect((await api.call('GET', path)).status).toBe(200);
  });
});
