/**
 * The HTTP server: time limits, the number of connections, answers to what is not even HTTP, and an end
 * that finishes what it began.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import {
  createServer as createNetServer,
  type AddressInfo,
  type Server as NetServer,
  type Socket,
} from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import {
  BodyTooLarge,
  HeadersTooLarge,
  InvalidConfig,
  MalformedRequest,
  RequestTimeout,
} from '@nestrec/errors';
import type { ApiSettings } from '../settings.js';
import { PROBLEM_CONTENT_TYPE, problemOf } from './problem.js';
import { requestIdOf } from './request-id.js';

export type RequestListener = (req: IncomingMessage, res: ServerResponse) => void;

export function createHttpServer(listener: RequestListener, settings: ApiSettings): Server {
  const server = createServer(
    {
      connectionsCheckingInterval: settings.connectionsCheckingIntervalMs,
      headersTimeout: settings.headersTimeoutMs,
      requestTimeout: settings.requestTimeoutMs,
      keepAliveTimeout: settings.keepAliveTimeoutMs,
      insecureHTTPParser: false,
      // The guard refuses a request without Host, with a body that says so.
      requireHostHeader: false,
    },
    listener,
  );
  server.maxConnections = settings.maxConnections;
  server.on('clientError', answerClientError);
  // Node would answer 417 with a bare page; RFC 9110 (10.1.1) lets a server ignore what it does not know.
  server.on('checkExpectation', listener);
  endSilentSockets(server, settings.sendTimeoutMs);
  return server;
}

/**
 * Ends a connection on which nothing moved for `timeoutMs`, unless it waits for us: a client that does not
 * read its answers must not hold them, however many it asked for at once.
 */
function endSilentSockets(server: Server, timeoutMs: number): void {
  const unfinished = new WeakMap<Socket, Set<ServerResponse>>();
  server.on('request', ({ socket }: IncomingMessage, res: ServerResponse) => {
    const responses = unfinished.get(socket) ?? new Set();
    unfinished.set(socket, responses.add(res));
    res.once('close', () => responses.delete(res));
  });
  server.setTimeout(timeoutMs, (socket: Socket) => {
    const waitsForUs = [...(unfinished.get(socket) ?? [])].some((res) => !res.writableEnded);
    if (!waitsForUs) socket.destroy();
  });
}

/** What Node's parser refused never becomes a request, so it is answered on the bare socket. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable || socket.bytesWritten > 0) {
    socket.destroy();
    return;
  }
  const problem = problemOf(catalogueError(error.code), requestIdOf(undefined));
  const body = JSON.stringify(problem);
  socket.end(
    [
      `HTTP/1.1 ${problem.status} ${STATUS_TEXTS[problem.status] ?? 'Bad Request'}`,
      `Content-Type: ${PROBLEM_CONTENT_TYPE}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      `X-Request-Id: ${problem.request_id}`,
      'Cache-Control: no-store',
      'X-Content-Type-Options: nosniff',
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}

const STATUS_TEXTS: Record<number, string> = {
  408: 'Request Timeout',
  413: 'Content Too Large',
  431: 'Request Header Fields Too Large',
};

function catalogueError(code: string | undefined) {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new RequestTimeout({ detail: 'Send the whole request sooner.' });
    case 'HPE_HEADER_OVERFLOW':
      return new HeadersTooLarge({ detail: 'The headers together may have 16 KiB.' });
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new BodyTooLarge({ detail: 'Chunk extensions may have 16 KiB.' });
    default:
      return new MalformedRequest({ detail: 'Send one well-formed HTTP/1.1 request.' });
  }
}

/**
 * Opens the port; 0 takes a free one. Resolves to the address that is bound.
 * @throws InvalidConfig where the address is taken, not allowed, or not this machine's
 */
export async function listen(server: NetServer, port: number, host: string): Promise<AddressInfo> {
  await new Promise<void>((resolve, reject) => {
    const failed = (error: Error) => reject(addressFault(error, port, host));
    server.once('error', failed);
    server.listen(port, host, () => {
      server.off('error', failed);
      resolve();
    });
  });
  return server.address() as AddressInfo;
}

/**
 * Opens the address and closes it again, so that a long start does not end in a port that is taken.
 * @throws InvalidConfig as `listen` does
 */
export async function assertListenable(port: number, host: string): Promise<void> {
  const probe = createNetServer();
  await listen(probe, port, host);
  await new Promise((resolve) => probe.close(resolve));
}

const ADDRESS_FAULTS: Record<string, { path: string; got: string; want: string }> = {
  EADDRINUSE: {
    path: 'PORT',
    got: 'a port that another process listens on',
    want: 'a free one: end that process or set PORT to another',
  },
  EACCES: { path: 'PORT', got: 'a port that this user may not open', want: 'one above 1023' },
  EADDRNOTAVAIL: { path: 'HOST', got: 'not an address of this machine', want: 'one of its own' },
  ENOTFOUND: { path: 'HOST', got: 'a name without an address', want: 'an address of this machine' },
};

function addressFault(error: NodeJS.ErrnoException, port: number, host: string): Error {
  const fault = ADDRESS_FAULTS[error.code ?? ''];
  if (fault === undefined) return error;
  return new InvalidConfig({
    detail: `cannot listen on ${host}:${port}: ${fault.path} is ${fault.got}, wanted ${fault.want}.`,
    fields: [fault],
    cause: error,
  });
}

/** Stops accepting, lets requests in flight finish within the limit, then ends what is left. */
export async function closeServer(server: Server, timeoutMs: number): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const limit = new AbortController();
  const timeout = wait(timeoutMs, undefined, { signal: limit.signal }).then(
    () => server.closeAllConnections(),
    () => undefined,
  );
  await closed;
  limit.abort();
  await timeout;
}
