import { describe, expect, it } from 'vitest';
import { createClient, type ClientOptions } from './client.js';
import { NestrecApiError, NestrecConnectionError } from './errors.js';
import { operations } from './operations.js';
import { createSend, type TransportOptions } from './transport.js';

type Step = () => Response | Promise<Response>;

const json = (status: number, body: unknown, headers: Record<string, string> = {}): Step => {
  return () => new Response(JSON.stringify(body), { status, headers });
};
const problem = (status: number, headers: Record<string, string> = {}): Step =>
  json(
    status,
    {
      type: 'urn:nestrec:error:busy',
      title: 'Busy.',
      status,
      code: 'busy',
      detail: 'Too much at once.',
      errors: [{ path: 'k', got: '0', want: '1' }],
      request_id: 'r1',
    },
    headers,
  );
const lost: Step = () => Promise.reject(new TypeError('fetch failed'));

/** A fetch that gives one step after another, and what was sent by it. */
function scripted(...steps: Step[]) {
  const sent: { url: string; init: RequestInit }[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    sent.push({ url: String(input), init: init! });
    const step = steps[sent.length - 1];
    if (step === undefined) throw new Error('sent once too often');
    return step();
  };
  return { sent, fetch };
}

/** The transport with waits that are written down, not waited. */
function transport(...steps: Step[]) {
  const waited: number[] = [];
  const script = scripted(...steps);
  const options: TransportOptions = {
    url: new URL('http://api.test'),
    key: 'KEY',
    fetch: script.fetch,
    timeoutMs: 1_000,
    retries: 3,
    maxWaitMs: 30_000,
    wait: async (ms) => void waited.push(ms),
    random: () => 0.5,
  };
  return { send: createSend(options), waited, sent: script.sent };
}

const client = (steps: Step[], options: Partial<ClientOptions> = {}) => {
  const script = scripted(...steps);
  return {
    ...script,
    api: createClient({ url: 'http://api.test', key: 'KEY', fetch: script.fetch, ...options }),
  };
};

describe('tries', () => {
  it('waits as long as the server asks, and a little more, after 429 and 503', async () => {
    const { send, waited, sent } = transport(
      problem(429, { 'retry-after': '2' }),
      problem(503, { 'retry-after': '1' }),
      json(200, { ok: 1 }),
    );
    expect(await send(operations.getTiers, {}, {})).toEqual({ ok: 1 });
    expect(sent).toHaveLength(3);
    expect(waited).toEqual([2_050, 1_100]);
  });

  it('doubles a jittered back-off when no answer comes, and gives up after the last try', async () => {
    const { send, waited, sent } = transport(lost, lost, lost, lost);
    await expect(send(operations.getTiers, {}, {})).rejects.toMatchObject({
      code: 'network_error',
    });
    expect(waited).toEqual([50, 100, 200]);
    expect(sent).toHaveLength(4);
  });

  it.each([
    ['no answer', lost],
    ['503', problem(503)],
  ])('never repeats what may not be done twice after %s', async (_name, step) => {
    const { send, sent } = transport(step, json(200, {}));
    await expect(send(operations.publishModel, { path: ['v1'] }, {})).rejects.toThrow();
    expect(sent).toHaveLength(1);
  });

  it.each([408, 429])('repeats anything after a %i: it was refused at the door', async (status) => {
    const { send, sent } = transport(problem(status, { 'retry-after': '0' }), json(200, {}));
    await send(operations.publishModel, { path: ['v1'] }, {});
    expect(sent).toHaveLength(2);
  });

  it('leaves a wait that is too long to the caller, and tells how long', async () => {
    const { send, waited } = transport(problem(429, { 'retry-after': '3600' }));
    const error = await send(operations.getTiers, {}, {}).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ status: 429, retryAfterMs: 3_600_000 });
    expect(waited).toEqual([]);
  });

  it.each([400, 401, 403, 404, 409, 422, 500])('does not repeat a %i', async (status) => {
    const { send, sent } = transport(problem(status));
    await expect(send(operations.getTiers, {}, {})).rejects.toBeInstanceOf(NestrecApiError);
    expect(sent).toHaveLength(1);
  });

  it('reads a Retry-After that is a date', async () => {
    const date = new Date(Date.now() + 4_000).toUTCString();
    const { send, waited } = transport(problem(503, { 'retry-after': date }), json(200, {}));
    await send(operations.getTiers, {}, {});
    expect(waited[0]).toBeGreaterThan(2_000);
    expect(waited[0]).toBeLessThan(4_200);
  });
});

describe('events', () => {
  it('get one id and one time before the first try, the same in every try', async () => {
    const { api, sent } = client([lost, json(202, { accepted: 2, token: 't' })]);
    const answer = await api.sendEvents([
      { user_id: 'u', item_id: 'i' },
      { user_id: 'u', item_id: 'j', event_id: 'mine', timestamp: 5 },
    ]);
    expect(answer).toEqual({ accepted: 2, token: 't' });
    const bodies = sent.map(({ init }) => init.body as string);
    expect(bodies[0]).toBe(bodies[1]);
    const { events } = JSON.parse(bodies[0]!) as { events: Record<string, unknown>[] };
    expect(events[0]).toMatchObject({
      event_id: expect.stringMatching(/^c-[0-9a-f]{32}$/),
      timestamp: expect.any(Number),
    });
    expect(events[1]).toMatchObject({ event_id: 'mine', timestamp: 5 });
  });
});

describe('errors', () => {
  it('carry code, status, request id and faults of a problem', async () => {
    const { api } = client([problem(422, { 'x-request-id': 'r2' })]);
    const error = await api.getTiers().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(NestrecApiError);
    expect(error).toMatchObject({
      code: 'busy',
      status: 422,
      requestId: 'r2',
      errors: [{ path: 'k', got: '0', want: '1' }],
      message: 'Busy. Too much at once. [busy]',
    });
  });

  it('say so when something else than the server answers', async () => {
    const page: Step = () => new Response('<html>bad gateway</html>', { status: 502 });
    const { api } = client([page, page]);
    await expect(api.getTiers()).rejects.toMatchObject({ code: 'unexpected_answer', status: 502 });
    const notJson = client([() => new Response('<html></html>', { status: 200 })]);
    await expect(notJson.api.getTiers()).rejects.toMatchObject({ code: 'unexpected_answer' });
  });

  it('refuse a body that cannot be JSON, and try it once only', async () => {
    const { api, sent } = client([]);
    const fields = { price: 1n as unknown as number };
    await expect(api.putItem('i1', { fields })).rejects.toMatchObject({
      code: 'invalid_argument',
    });
    expect(sent).toEqual([]);
  });

  it.each(['', '.', '..', '\ud800'])('refuse the id %j, which no path can hold', async (id) => {
    const { api, sent } = client([]);
    await expect(api.getItem(id)).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(sent).toEqual([]);
  });
});

describe('limits of time', () => {
  /** Answers never, and ends as fetch does when its signal is aborted. */
  const never: typeof globalThis.fetch = (_input, init) =>
    new Promise((_resolve, reject) => {
      init!.signal!.addEventListener('abort', () => reject(init!.signal!.reason as Error));
    });

  it('a try that takes too long is a timeout, named with its limit', async () => {
    const api = createClient({ url: 'http://api.test', fetch: never, timeoutMs: 5, retries: 0 });
    const error = await api.getTiers().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(NestrecConnectionError);
    expect(error).toMatchObject({ code: 'timeout', message: expect.stringContaining('5 ms') });
  });

  it("the caller's signal ends the call with its own reason, in a wait between tries too", async () => {
    const asked = new AbortController();
    const reason = new Error('the visitor left');
    const waiting = createClient({ url: 'http://api.test', fetch: never });
    const call = waiting.getTiers({ signal: asked.signal });
    asked.abort(reason);
    await expect(call).rejects.toBe(reason);
    const other = new AbortController();
    const { api } = client([
      () => {
        queueMicrotask(() => setImmediate(() => other.abort(reason)));
        return problem(503, { 'retry-after': '20' })();
      },
    ]);
    await expect(api.getTiers({ signal: other.signal })).rejects.toBe(reason);
  });
});

describe('requests', () => {
  it('hold the key, the query as written in the contract, and ids as one segment', async () => {
    const { api, sent } = client([json(200, {})], { url: 'http://api.test/base' });
    await api.recommend('a/b?c', { k: 5, exclude_seen: false, after: undefined });
    expect(sent[0]!.url).toBe(
      'http://api.test/base/v1/users/a%2Fb%3Fc/recommendations?k=5&exclude_seen=false',
    );
    expect(sent[0]!.init.headers).toEqual({ authorization: 'Bearer KEY' });
    // A redirect would take the key along.
    expect(sent[0]!.init.redirect).toBe('error');
  });
});
