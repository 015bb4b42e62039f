/** What reaches the port as bytes: smuggling, slow clients, the end of the server. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFakeWorld } from '../../../../tests/helpers/api/fakes.js';
import { rawExchange, startApi, type ApiHarness } from '../../../../tests/helpers/api/harness.js';
import { createApi } from '../api.js';
import { DEFAULT_API_SETTINGS } from '../settings.js';

let api: ApiHarness;
let key: string;
beforeAll(async () => {
  api = await startApi();
  key = api.world.key();
});
afterAll(() => api.stop());

const CLOSE = 'Connection: close\r\n';
const head = (line: string, ...headers: string[]) =>
  `${line}\r\n${headers.map((header) => `${header}\r\n`).join('')}`;
const statuses = (text: string) =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((m) => Number(m[1]));

/** Each is one intended request that two parties could read as another one, or as two. */
const SMUGGLING: { name: string; bytes: string | Uint8Array; status: number }[] = [
  [
    'Content-Length beside Transfer-Encoding',
    ['Content-Length: 5', 'Transfer-Encoding: chunked'],
    '0\r\n\r\nGET',
  ],
  [
    'Transfer-Encoding beside Content-Length',
    ['Transfer-Encoding: chunked', 'Content-Length: 5'],
    '0\r\n\r\nGET',
  ],
  ['two different Content-Length', ['Content-Length: 2', 'Content-Length: 3'], '{}x'],
  ['two equal Content-Length', ['Content-Length: 2', 'Content-Length: 2'], '{}'],
  ['a list in Content-Length', ['Content-Length: 2, 3'], '{}x'],
  ['a signed Content-Length', ['Content-Length: +2'], '{}'],
  ['a negative Content-Length', ['Content-Length: -2'], '{}'],
  ['a hexadecimal Content-Length', ['Content-Length: 0x2'], '{}'],
  ['Transfer-Encoding xchunked', ['Transfer-Encoding: xchunked'], '{}'],
  ['Transfer-Encoding chunked, identity', ['Transfer-Encoding: chunked, identity'], '{}'],
  ['two Transfer-Encoding', ['Transfer-Encoding: identity', 'Transfer-Encoding: chunked'], '{}'],
  ['a space before the colon', ['Content-Length : 2'], '{}'],
  ['a folded header', ['X-A: 1', ' folded', 'Content-Length: 2'], '{}'],
  ['NUL in a header', ['X-A: a\u0000b', 'Content-Length: 2'], '{}'],
  ['a header without a name', [': x', 'Content-Length: 2'], '{}'],
  ['a wrong chunk size', ['Transfer-Encoding: chunked'], 'zz\r\n{}\r\n0\r\n\r\n'],
].map(([name, headers, body]) => ({
  name: name as string,
  bytes: `${head('POST /v1/events HTTP/1.1', 'Host: x', ...(headers as string[]))}\r\n${body as string}`,
  status: 400,
}));
SMUGGLING.push(
  { name: 'bare line feeds', bytes: 'GET /healthz HTTP/1.1\nHost: x\n\n', status: 400 },
  { name: 'no Host', bytes: 'GET /healthz HTTP/1.1\r\n\r\n', status: 400 },
  {
    name: 'two Host',
    bytes: `${head('GET /healthz HTTP/1.1', 'Host: a', 'Host: b')}${CLOSE}\r\n`,
    status: 400,
  },
  {
    name: 'two Authorization',
    bytes: `${head('GET /v1/tiers HTTP/1.1', 'Host: a', 'Authorization: Bearer a', 'Authorization: Bearer b')}${CLOSE}\r\n`,
    status: 400,
  },
  {
    name: 'two X-API-Key',
    bytes: `${head('GET /v1/tiers HTTP/1.1', 'Host: a', 'X-API-Key: a', 'X-API-Key: b')}${CLOSE}\r\n`,
    status: 400,
  },
  { name: 'HTTP/0.9', bytes: 'GET /healthz\r\n\r\n', status: 400 },
  { name: 'HTTP/2 preface', bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', status: 400 },
  { name: 'an unknown method', bytes: 'HACK / HTTP/1.1\r\nHost: x\r\n\r\n', status: 400 },
  {
    name: 'raw bytes above ASCII in the path',
    bytes: Buffer.from(`GET /v1/items/é HTTP/1.1\r\nHost: x\r\n${CLOSE}\r\n`),
    status: 400,
  },
  {
    name: '20 KB of headers',
    bytes: `${head('GET /healthz HTTP/1.1', 'Host: x', `X-Big: ${'x'.repeat(20_000)}`)}\r\n`,
    status: 431,
  },
  {
    name: '20 KB of chunk extension',
    bytes: `${head('POST /v1/events HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked')}\r\n2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`,
    status: 413,
  },
);

describe('bytes that are no clear request', () => {
  it.each(SMUGGLING)(
    '$name: one answer, $status, and the connection closes',
    async ({ bytes, status }) => {
      const text = await rawExchange(api.port, bytes);
      expect(statuses(text)).toEqual([status]);
      expect(text).toContain('application/problem+json');
      expect(text).not.toMatch(/node_modules|\.ts:|at [A-Z]\w+\./);
    },
  );

  it('answers two pipelined requests with two answers, in order', async () => {
    const one = (path: string, close = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${close}\r\n`;
    const text = await rawExchange(api.port, one('/healthz') + one('/nowhere', CLOSE));
    expect(statuses(text)).toEqual([200, 404]);
  });

  it('does not let many bad connections keep the good from being answered', async () => {
    const bad = Array.from({ length: 200 }, () => rawExchange(api.port, '\u0000\u0001\r\n\r\n'));
    const good = await Promise.all(Array.from({ length: 50 }, () => api.call('GET', '/healthz')));
    expect(good.every((reply) => reply.status === 200)).toBe(true);
    await Promise.all(bad);
  });
});

describe('time limits', () => {
  it('are those that are promised', () => {
    const { server } = api.api;
    expect(server.headersTimeout).toBe(10_000);
    expect(server.requestTimeout).toBe(15_000);
    expect(server.maxConnections).toBe(DEFAULT_API_SETTINGS.maxConnections);
    expect(DEFAULT_API_SETTINGS.connectionsCheckingIntervalMs).toBe(1_000);
  });

  it('keep an idle connection for longer than clients are told', async () => {
    const { headers } = await fetch(`${api.url}/healthz`);
    const toldMs = Number(/timeout=(\d+)/.exec(headers.get('keep-alive') ?? '')?.[1]) * 1_000;
    expect(toldMs).toBe(30_000);
    expect(api.api.server.keepAliveTimeout - toldMs).toBeGreaterThan(500);
  });

  it.each([
    { name: 'headers', bytes: 'GET /healthz HTTP/1.1\r\nHost: x\r\nX-Drip: ' },
    {
      name: 'a body',
      bytes: 'POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{',
    },
  ])('cut a client that never ends $name', async ({ bytes }) => {
    const quick = await startApi({
      settings: { headersTimeoutMs: 100, requestTimeoutMs: 150, connectionsCheckingIntervalMs: 20 },
    });
    const text = await rawExchange(
      quick.port,
      bytes.replace(
        '\r\n\r\n',
        `\r\nAuthorization: Bearer ${quick.world.key()}\r\nContent-Type: application/json\r\n\r\n`,
      ),
    );
    expect(statuses(text)).toEqual([408]);
    await quick.stop();
  });

  it('cut a client that does not read its answer', async () => {
    const quick = await startApi({ settings: { sendTimeoutMs: 50 } });
    const socket = connect(quick.port, '127.0.0.1');
    const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
    socket.on('error', () => undefined);
    socket.pause();
    const connections = () =>
      new Promise<number>((resolve) =>
        quick.api.server.getConnections((_, count) => resolve(count)),
      );
    await expect.poll(connections).toBe(1);
    // More than the buffers of both ends hold: the script of the documentation, many times.
    socket.write('GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20));
    await expect.poll(connections, { timeout: 10_000 }).toBe(0);
    socket.resume();
    await closed;
    await quick.stop();
  });
});

describe('stop', () => {
  it('lets a request in flight finish, refuses new ones, and says so on /readyz first', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let entered: () => void = () => undefined;
    const isIn = new Promise<void>((resolve) => {
      entered = resolve;
    });
    const world = createFakeWorld({
      waitForEvents: async () => {
        entered();
        await held;
        return true;
      },
      settings: { drainDelayMs: 100 },
    });
    const one = createApi(world.deps);
    const { url, port } = await one.listen(0);
    const headers = { authorization: `Bearer ${world.key()}` };
    const after = Buffer.from('p1:0@1').toString('base64url');
    const slow = fetch(`${url}/v1/users/u/recommendations?after=${after}`, { headers });
    await isIn;
    const stopped = one.stop();
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    await expect
      .poll(() =>
        fetch(`${url}/healthz`).then(
          () => 'open',
          () => 'closed',
        ),
      )
      .toBe('closed');
    release();
    expect((await slow).status).toBe(200);
    await stopped;
    await one.stop();
    expect(port).toBeGreaterThan(0);
  });

  it('ends what does not finish within the limit', async () => {
    const stuck = await startApi({
      waitForEvents: () => new Promise(() => undefined),
      settings: { stopTimeoutMs: 50 },
    });
    const after = Buffer.from('p1:0@1').toString('base64url');
    const slow = stuck.call('GET', `/v1/users/u/recommendations?after=${after}`).then(
      () => 'answered',
      () => 'cut',
    );
    await expect
      .poll(() => new Promise<number>((done) => stuck.api.server.getConnections((_, n) => done(n))))
      .toBe(1);
    await stuck.stop();
    expect(await slow).toBe('cut');
  });
});

describe('listen', () => {
  it('says so when the port is taken, or the address is not of this machine', async () => {
    const second = createApi(createFakeWorld().deps);
    await expect(second.listen(api.port)).rejects.toMatchObject({
      code: 'invalid_config',
      detail: expect.stringContaining('another process listens on') as string,
    });
    await expect(second.listen(0, '203.0.113.1')).rejects.toMatchObject({
      code: 'invalid_config',
      fields: [{ path: 'HOST' }],
    });
  });

  it('serves a key over an absolute request target as over a path', async () => {
    const text = await rawExchange(
      api.port,
      `GET http://x/v1/tiers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\n${CLOSE}\r\n`,
    );
    expect(statuses(text)).toEqual([200]);
  });
});
