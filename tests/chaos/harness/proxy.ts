/**
 * A TCP proxy that breaks connections on purpose, with toxiproxy's set of faults, switchable while it runs.
 * Knows nothing of what is said through it.
 *
 * A silent drop behaves as lost packets do: bytes wait where they are and arrive once it heals, so that no
 * stream is ever torn in the middle by the proxy itself.
 */
import { createServer, connect, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '@nestrec/random';

export interface Faults {
  /** Refuse new connections and cut those that stand. */
  readonly down?: boolean;
  /** Nothing gets through and nobody is told. */
  readonly silent?: boolean;
  /** Reset every connection as soon as it says something. */
  readonly reset?: boolean;
  /** Delay of every chunk, in both directions, ms. */
  readonly latencyMs?: number;
  /** Added to the latency, uniform in [-jitter, +jitter], ms. */
  readonly jitterMs?: number;
  readonly bandwidthBytesPerSecond?: number;
  /** Chunks no longer than `bytes`, with a pause in between. */
  readonly slicer?: { readonly bytes: number; readonly delayMs: number };
  /** Each connection ends after that many bytes towards the client. */
  readonly limitBytes?: number;
}

export interface TcpProxy {
  readonly port: number;
  /** Connections that stand now. */
  connections(): number;
  /** Replaces the faults; `{}` heals. */
  set(faults: Faults): Promise<void>;
  /** Resets the connections that stand, once; returns how many. */
  resetPeers(): number;
  stop(): Promise<void>;
}

interface Link {
  readonly client: Socket;
  readonly target: Socket;
}

const HOST = '127.0.0.1';
const SILENCE_POLL_MS = 20;

/** @param targetPort asked for at each connection, so that the target may start later or move */
export async function startProxy(
  targetPort: number | (() => number),
  random: Random,
  listenPort = 0,
): Promise<TcpProxy> {
  let faults: Faults = {};
  let stopped = false;
  const links = new Set<Link>();
  const target = typeof targetPort === 'number' ? () => targetPort : targetPort;

  const reset = ({ client, target: upstream }: Link) => {
    client.resetAndDestroy();
    upstream.resetAndDestroy();
  };

  const accept = (client: Socket) => {
    const upstream = connect({ port: target(), host: HOST, noDelay: true, allowHalfOpen: true });
    client.setNoDelay(true);
    const link: Link = { client, target: upstream };
    links.add(link);
    const end = () => {
      links.delete(link);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      socket.on('error', end);
      socket.on('close', end);
    }
    const state = { now: () => faults, stopped: () => stopped, random, reset: () => reset(link) };
    void pump(client, upstream, state, null).catch(end);
    void pump(upstream, client, state, () => faults.limitBytes ?? Infinity).catch(end);
  };

  const server: Server = createServer({ allowHalfOpen: true, pauseOnConnect: false }, accept);
  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, HOST, () => {
        server.off('error', reject);
        resolve();
      });
    });
  const deafen = () =>
    new Promise<void>((resolve) => {
      if (!server.listening) return resolve();
      server.close(() => resolve());
      for (const link of links) reset(link);
    });

  await listen(listenPort);
  const { port } = server.address() as { port: number };
  return {
    port,
    connections: () => links.size,
    set: async (next) => {
      const wasDown = faults.down ?? false;
      faults = next;
      if (next.down) await deafen();
      else if (wasDown) await listen(port);
      if (next.reset) for (const link of links) reset(link);
    },
    resetPeers: () => {
      const count = links.size;
      for (const link of links) reset(link);
      return count;
    },
    stop: async () => {
      stopped = true;
      await deafen();
    },
  };
}

interface PumpState {
  readonly now: () => Faults;
  readonly stopped: () => boolean;
  readonly random: Random;
  readonly reset: () => void;
}

/** Carries bytes one way until the source ends. Awaiting each write is the back-pressure. */
async function pump(
  source: Socket,
  sink: Socket,
  state: PumpState,
  limit: (() => number) | null,
): Promise<void> {
  let carried = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    const arrivedAtMs = performance.now();
    while (state.now().silent && !state.stopped()) await sleep(SILENCE_POLL_MS);
    const faults = state.now();
    if (faults.reset) return state.reset();
    const { latencyMs = 0, jitterMs = 0 } = faults;
    if (latencyMs + jitterMs > 0) {
      const delayMs = latencyMs + jitterMs * (2 * state.random.uniform() - 1);
      await sleep(Math.max(0, arrivedAtMs + delayMs - performance.now()));
    }
    const left = limit === null ? Infinity : Math.max(0, limit() - carried);
    const allowed = chunk.length <= left ? chunk : chunk.subarray(0, left);
    for (const slice of slices(allowed, faults.slicer?.bytes)) {
      if (faults.bandwidthBytesPerSecond !== undefined) {
        await sleep((1_000 * slice.length) / faults.bandwidthBytesPerSecond);
      }
      await write(sink, slice);
      if (faults.slicer !== undefined) await sleep(faults.slicer.delayMs);
    }
    carried += allowed.length;
    if (allowed.length < chunk.length) {
      sink.end();
      source.destroy();
      return;
    }
  }
  sink.end();
}

function* slices(chunk: Buffer, bytes: number | undefined): Generator<Buffer> {
  if (bytes === undefined) yield chunk;
  else for (let at = 0; at < chunk.length; at += bytes) yield chunk.subarray(at, at + bytes);
}

function write(sink: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    if (sink.destroyed) return reject(new Error('the other side is gone'));
    sink.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}
