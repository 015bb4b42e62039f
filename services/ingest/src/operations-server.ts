/**
 * Health and metrics of ingest over HTTP, for probes and Prometheus. It has a port of its own, with nothing on
 * it for clients; whoever may reach the port may read.
 */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InvalidConfig } from '@nestrec/errors';
import type { MetricsRegistry, Verdict } from '@nestrec/runtime';
import express from 'express';

export interface OperationsServer {
  readonly url: string;
  close(): Promise<void>;
}

/** @throws InvalidConfig for an address that cannot be listened on */
export async function startOperationsServer(options: {
  readonly host: string;
  readonly port: number;
  readonly readiness: () => Promise<Record<string, Verdict>>;
  readonly metrics: MetricsRegistry;
}): Promise<OperationsServer> {
  const app = express();
  app.disable('x-powered-by');
  app.use((_req, res, next) => {
    res.setHeader('Cache-Control', 'no-store');
    next();
  });
  app.get('/healthz', (_req, res) => {
    res.json({ status: 'ok' });
  });
  app.get('/readyz', async (_req, res) => {
    const checks = await options.readiness();
    const ready = Object.values(checks).every(({ ok }) => ok);
    res.status(ready ? 200 : 503).json({ ready, checks });
  });
  app.get('/metrics', async (_req, res) => {
    const { contentType, body } = await options.metrics.expose();
    res.type(contentType).send(body);
  });
  app.use((_req, res) => {
    res.status(404).json({ routes: ['/healthz', '/readyz', '/metrics'] });
  });
  const server = await listen(app, options.port, options.host);
  const { address, family, port } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function listen(app: express.Express, port: number, host: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = app.listen(port, host);
    server.requestTimeout = 10_000;
    server.once('listening', () => resolve(server));
    server.once('error', (error: NodeJS.ErrnoException) => {
      const fault = {
        path: 'NESTREC_INGEST_PORT',
        got: `${host}:${port} (${error.code ?? error.message})`,
        want: 'an address of this machine and a port that is free',
      };
      const detail = `ingest cannot listen: got ${fault.got}, wanted ${fault.want}`;
      reject(new InvalidConfig({ detail, fields: [fault], cause: error }));
    });
  });
}
