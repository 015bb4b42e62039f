/**
 * Health and metrics of a service over HTTP, for probes and Prometheus. It has a port of its own, with nothing
 * on it for clients; whoever may reach the port may read.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InvalidConfig } from '@nestrec/errors';
import type { MetricsRegistry } from './metrics.js';
import type { Verdict } from './readiness.js';

export interface OperationsServer {
  readonly url: string;
  close(): Promise<void>;
}

export interface OperationsServerOptions {
  readonly host: string;
  readonly port: number;
  /** Name of the setting of the port, for the message where it cannot be had. */
  readonly portSetting: string;
  readonly readiness: () => Promise<Record<string, Verdict>>;
  readonly metrics: MetricsRegistry;
}

const JSON_TYPE = 'application/json; charset=utf-8';
const REQUEST_TIMEOUT_MS = 10_000;

type Answer = { status: number; type: string; body: string };

const json = (status: number, value: unknown): Answer => ({
  ...{ status, type: JSON_TYPE, body: JSON.stringify(value) },
});

/** @throws InvalidConfig for an address that cannot be listened on */
export async function startOperationsServer(
  options: OperationsServerOptions,
): Promise<OperationsServer> {
  const routes: Record<string, () => Promise<Answer>> = {
    '/healthz': async () => json(200, { status: 'ok' }),
    '/readyz': async () => {
      const checks = await options.readiness();
      const ready = Object.values(checks).every(({ ok }) => ok);
      return json(ready ? 200 : 503, { ready, checks });
    },
    '/metrics': async () => {
      const { contentType, body } = await options.metrics.expose();
      return { status: 200, type: contentType, body };
    },
  };
  const answer = async ({ method, url }: IncomingMessage): Promise<Answer> => {
    const route = routes[(url ?? '').split('?')[0]!];
    if (route === undefined) return json(404, { routes: Object.keys(routes) });
    return method === 'GET' || method === 'HEAD' ? route() : json(405, { methods: ['GET'] });
  };
  const server = createServer((request, response) => {
    answer(request).then(
      (found) => send(response, found),
      () => send(response, json(500, { status: 'failed' })),
    );
  });
  await listen(server, options);
  const { address, family, port } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function send(response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, { 'Content-Type': type, 'Cache-Control': 'no-store' });
  response.end(body);
}

function listen(server: Server, options: OperationsServerOptions): Promise<void> {
  const { port, host, portSetting } = options;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  return new Promise((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', (error: NodeJS.ErrnoException) => {
      const fault = {
        path: portSetting,
        got: `${host}:${port} (${error.code ?? error.message})`,
        want: 'an address of this machine and a port that is free',
      };
      const detail = `health and metrics cannot be served: got ${fault.got}, wanted ${fault.want}`;
      reject(new InvalidConfig({ detail, fields: [fault], cause: error }));
    });
    server.listen(port, host);
  });
}
