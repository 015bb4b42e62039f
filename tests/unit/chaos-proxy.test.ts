/** The proxy of the chaos runs: each fault does what it says, and nothing of it is left once it heals. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createRandom } from '@nestrec/random';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startProxy, type TcpProxy } from '../chaos/harness/proxy.js';
import { waitFor } from '../helpers/wait-for.js';

let echo: Server;
let proxy: TcpProxy;
const sockets: Socket[] = [];

beforeEach(async () => {
  echo = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  proxy = await startProxy((echo.address() as { port: number }).port, createRandom(1));
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await proxy.stop();
  echo.close();
});

/** A client whose received bytes and end can be looked at. */
async function client() {
  const socket = connect(proxy.port, '127.0.0.1');
  sockets.push(socket);
  const seen = { text: '', chunks: 0, error: '', closed: false };
  socket.on('data', (chunk) => {
    seen.text += String(chunk);
    seen.chunks += 1;
  });
  socket.on('error', (error: NodeJS.ErrnoException) => (seen.error = error.code ?? ''));
  socket.on('close', () => (seen.closed = true));
  await once(socket, 'connect');
  return { socket, seen };
}

describe('the proxy', () => {
  it('carries bytes both ways while nothing is wrong', async () => {
    const { socket, seen } = await client();
    socket.write('hello');
    await waitFor('the echo', () => seen.text === 'hello');
  });

  it('that is down refuses connections and cuts those that stand, and takes new ones once healed', async () => {
    const { seen } = await client();
    await proxy.set({ down: true });
    await waitFor('the cut', () => seen.closed);
    await expect(client()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await proxy.set({});
    const { socket, seen: after } = await client();
    socket.write('again');
    await waitFor('the echo', () => after.text === 'again');
  });

  it('that is silent holds bytes back without a word, and loses none', async () => {
    const { socket, seen } = await client();
    await proxy.set({ silent: true });
    socket.write('patience');
    const { socket: other, seen: others } = await client();
    other.write('too');
    // Both were taken: silence does not show.
    await waitFor('both connections', () => proxy.connections() === 2);
    expect([seen.text, seen.closed, others.text]).toEqual(['', false, '']);
    await proxy.set({});
    await waitFor('all of it', () => seen.text === 'patience' && others.text === 'too');
  });

  it('that resets ends connections with a reset, also new ones that say something', async () => {
    const { seen } = await client();
    await proxy.set({ reset: true });
    await waitFor('the reset', () => seen.error === 'ECONNRESET');
    const { socket, seen: next } = await client();
    socket.write('x');
    await waitFor('its reset', () => next.error === 'ECONNRESET');
  });

  it('resets the connections that stand once, and not later ones', async () => {
    const { socket, seen } = await client();
    socket.write('a');
    await waitFor('the echo', () => seen.text === 'a');
    expect(proxy.resetPeers()).toBe(1);
    await waitFor('the reset', () => seen.error === 'ECONNRESET');
    const { socket: next, seen: after } = await client();
    next.write('b');
    await waitFor('the echo', () => after.text === 'b');
  });

  it('slices what it carries, and delays it', async () => {
    await proxy.set({ slicer: { bytes: 2, delayMs: 2 }, latencyMs: 30, jitterMs: 5 });
    const { socket, seen } = await client();
    const sentAtMs = performance.now();
    socket.write('abcdefgh');
    await waitFor('all of it', () => seen.text === 'abcdefgh');
    expect(seen.chunks).toBeGreaterThan(1);
    // Once there and once back.
    expect(performance.now() - sentAtMs).toBeGreaterThan(49);
  });

  it('carries no more than its bandwidth and its limit', async () => {
    await proxy.set({ bandwidthBytesPerSecond: 1_000, limitBytes: 50 });
    const { socket, seen } = await client();
    const sentAtMs = performance.now();
    socket.write('x'.repeat(60));
    await waitFor('its end', () => seen.closed);
    expect(seen.text).toBe('x'.repeat(50));
    expect(performance.now() - sentAtMs).toBeGreaterThan(100);
  });
});
