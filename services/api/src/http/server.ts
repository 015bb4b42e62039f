/**
 * The HTTP server: time limits, the number of connections, answers to what is not even HTTP, and an end
 * that finishes what it began.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { BodyTooLarge, HeadersTooLarge, MalformedRequest, RequestTimeout } from '@nestrec/errors';
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

/** Opens the port; 0 takes a free one. Resolves to the address that is bound. */
export async function listen(server: Server, port: number, host: string): Promise<AddressInfo> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return server.address() as AddressInfo;
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
