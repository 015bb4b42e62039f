/** Bodies that come slowly, over real sockets: who loses its place, who keeps it, and who is not kept waiting. */
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startApi, type ApiHarness } from '../../../../tests/helpers/api/harness.js';

/** Shorter than what is promised, so that the tests are: 1 s, and 10 kB of it as ever. */
const WINDOW_MS = 1_000;
const ITEMS_BYTES = 7_900_000;

let api: ApiHarness;
let slowKey: string;
let otherKey: string;
beforeEach(async () => {
  api = await startApi({ settings: { bodyWindowMs: WINDOW_MS } });
  slowKey = api.world.key({ client: 'slow' });
  otherKey = api.world.key({ client: 'other' });
});
afterEach(() => api.stop());

interface Sender {
  readonly socket: Socket;
  /** All that came back, when the server closed the connection, and how long after the start that was. */
  readonly answer: Promise<{ text: string; afterMs: number }>;
}

/** Opens a request of the slow client: its head, and the first bytes of its body. */
function open(method: string, path: string, bytes: number, first = ''): Sender {
  const startMs = performance.now();
  const socket = connect(api.port, '127.0.0.1');
  socket.write(
    [
      `${method} ${path} HTTP/1.1`,
      'Host: x',
      `Authorization: Bearer ${slowKey}`,
      'Content-Type: application/json',
      `Content-Length: ${bytes}`,
      '',
      first,
    ].join('\r\n'),
  );
  const answer = new Promise<{ text: string; afterMs: number }>((resolve) => {
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve({ text, afterMs: performance.now() - startMs }));
  });
  return { socket, answer };
}

/** Sends `part` every `everyMs` until all is sent or the connection is closed. */
async function drip(socket: Socket, everyMs: number, parts: Iterable<string>): Promise<void> {
  for (const part of parts) {
    if (socket.destroyed) return;
    socket.write(part);
    await pause(everyMs);
  }
}

function* forever(part: string): Generator<string> {
  for (;;) yield part;
}

/** One item, and blanks up to the size. */
const bodyOf = (bytes: number) =>
  JSON.stringify({ items: [{ item_id: 'i1', title: 'One' }] }).padEnd(bytes, ' ');
const putItems = () => api.call('PUT', '/v1/items', { key: otherKey, body: bodyOf(ITEMS_BYTES) });

const isCut = (text: string) => {
  expect(text).toMatch(/^HTTP\/1\.1 408 /);
  expect(text).toMatch(/\r\nConnection: close\r\n/i);
  expect(text).toContain('"code":"request_timeout"');
};

describe('a body that comes a byte a second', () => {
  it('loses its place with 408, and another client writes as much meanwhile', async () => {
    const slow = open('PUT', '/v1/items', ITEMS_BYTES, '{');
    void drip(slow.socket, 1_000, forever(' '));
    await new Promise((resolve) => slow.socket.once('connect', resolve));
    let isOpen = true;
    slow.socket.once('close', () => (isOpen = false));
    const reply = await putItems();
    expect(reply.status).toBe(200);
    expect(isOpen).toBe(true);
    const { text, afterMs } = await slow.answer;
    isCut(text);
    expect(afterMs).toBeLessThan(3 * WINDOW_MS);
  });

  it('does not keep others from the route by many small ones', async () => {
    const slow = Array.from({ length: 8 }, () => open('PUT', '/v1/items', 1_000, '{'));
    await Promise.all(
      slow.map(({ socket }) => new Promise((resolve) => socket.once('connect', resolve))),
    );
    let cut = 0;
    for (const { socket } of slow) socket.once('close', () => cut++);
    expect((await putItems()).status).toBe(200);
    expect(cut).toBe(0);
    for (const { answer } of slow) isCut((await answer).text);
  });

  it('does not keep the events of others waiting, by four bodies of the greatest size', async () => {
    const slow = Array.from({ length: 4 }, () => open('POST', '/v1/events', 1_000_000, '{'));
    await Promise.all(
      slow.map(({ socket }) => new Promise((resolve) => socket.once('connect', resolve))),
    );
    let cut = 0;
    for (const { socket } of slow) socket.once('close', () => cut++);
    const events = Array.from({ length: 900 }, () => ({ user_id: 'u1', item_id: 'i1' }));
    const reply = await api.call('POST', '/v1/events', {
      key: otherKey,
      body: `${JSON.stringify({ events })}${' '.repeat(950_000)}`,
    });
    expect(reply.status).toBe(202);
    expect(cut).toBe(0);
    for (const { answer } of slow) isCut((await answer).text);
  });

  it('is counted as 408 of its route, and its room is there again', async () => {
    for (let n = 0; n < 2; n++) {
      const slow = open('PUT', '/v1/items', ITEMS_BYTES, '{');
      isCut((await slow.answer).text);
    }
    const mine = await api.call('PUT', '/v1/items', { key: slowKey, body: bodyOf(ITEMS_BYTES) });
    expect(mine.status).toBe(200);
    const { text } = await api.call('GET', '/metrics');
    expect(text).toMatch(
      /http_server_request_duration_seconds_count\{[^}]*route="\/v1\/items",status="408"\} 2/,
    );
  });
});

describe('a body that comes slowly but steadily', () => {
  it('is read to its end: 200 kB a second', { timeout: 15_000 }, async () => {
    const body = bodyOf(600_000);
    const slow = open('PUT', '/v1/items', body.length);
    const parts = Array.from({ length: 30 }, (_, n) => body.slice(n * 20_000, (n + 1) * 20_000));
    await drip(slow.socket, 100, parts);
    slow.socket.end();
    expect((await slow.answer).text).toMatch(/^HTTP\/1\.1 200 /);
    expect((await slow.answer).afterMs).toBeGreaterThan(2.5 * WINDOW_MS);
  });

  it('may be small and come as slowly as a request may take', async () => {
    const body = JSON.stringify({ events: [{ user_id: 'u1', item_id: 'i1' }] });
    const slow = open('POST', '/v1/events', body.length);
    await drip(
      slow.socket,
      (2.5 * WINDOW_MS) / 5,
      [...'12345'].map((_, n) => body.slice(n * 10, n === 4 ? undefined : n * 10 + 10)),
    );
    slow.socket.end();
    expect((await slow.answer).text).toMatch(/^HTTP\/1\.1 202 /);
  });
});
