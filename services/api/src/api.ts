/**
 * The HTTP API as one object: `createApi(deps)` wires routes, pipeline and server together. Knows the
 * order of things; each thing itself stands in `http/`, `keys/` and `routes/`.
 */
import type { Server } from 'node:http';
import { MethodNotAllowed, RouteNotFound } from '@nestrec/errors';
import { createReadiness, createReadinessGate, createUserHash } from '@nestrec/runtime';
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import type { ApiDeps } from './deps.js';
import { createAccessLog } from './http/access-log.js';
import { createApiMetrics, type ApiMetrics } from './http/api-metrics.js';
import { createBodyTurns } from './http/body.js';
import { createErrorLog, type ErrorLog } from './http/error-log.js';
import { NO_ROUTE, type ApiLocals } from './http/locals.js';
import { createRouteHandler, type Pipeline } from './http/pipeline.js';
import { toNestrecError } from './http/problem.js';
import { guardRequest } from './http/request-guards.js';
import { requestIdOf } from './http/request-id.js';
import { securityHeaders } from './http/security-headers.js';
import { sendProblem } from './http/send.js';
import { closeServer, createHttpServer, listen } from './http/server.js';
import { statusOf } from './http/status-of.js';
import { WAITING_SHARE } from './http/turns.js';
import { createAuthenticator } from './keys/authenticator.js';
import { createAdmission } from './limits/admission.js';
import { createLoopDelay } from './limits/loop-delay.js';
import { createOverload } from './limits/overload.js';
import { createOpenApiJson } from './openapi/document.js';
import { routes } from './routes/index.js';
import { DEFAULT_API_SETTINGS, type ApiSettings } from './settings.js';

export interface Api {
  /** The request handler, for tests and for embedding into another server. */
  readonly handler: Express;
  readonly server: Server;
  /** Opens the port (0: a free one) and resolves to the address to call. */
  listen(port: number, host?: string): Promise<{ readonly url: string; readonly port: number }>;
  /** `/readyz` 503, then no new connections, then the end of what is in flight. Safe to call twice. */
  stop(): Promise<void>;
}

export function createApi(deps: ApiDeps): Api {
  const settings: ApiSettings = { ...DEFAULT_API_SETTINGS, ...deps.settings };
  const gate = deps.gate ?? createReadinessGate();
  const metrics = createApiMetrics(deps.metrics);
  const loopDelay = createLoopDelay();
  const readLoopDelayMs = deps.readLoopDelayMs ?? loopDelay.read;
  const pipeline = createPipeline(deps, settings, metrics, gate, readLoopDelayMs);
  let stopping: Promise<void> | null = null;

  const handler = createApp(pipeline, deps, () => stopping !== null);
  const server = createHttpServer(handler, settings);
  const stop = async () => {
    gate.close('the server is stopping');
    if (settings.drainDelayMs > 0) {
      await new Promise((resolve) => setTimeout(resolve, settings.drainDelayMs));
    }
    await closeServer(server, settings.stopTimeoutMs);
    loopDelay.stop();
  };
  return {
    handler,
    server,
    listen: async (port, host = '127.0.0.1') => {
      const address = await listen(server, port, host);
      const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
      return { url: `http://${name}:${address.port}`, port: address.port };
    },
    stop: () => (stopping ??= stop()),
  };
}

function createPipeline(
  deps: ApiDeps,
  settings: ApiSettings,
  metrics: ApiMetrics,
  gate: ReturnType<typeof createReadinessGate>,
  readLoopDelayMs: () => number,
): Pipeline {
  const { clock } = deps;
  const authenticator = createAuthenticator({
    store: deps.keys,
    clock,
    cacheMs: settings.keyCacheMs,
    onFailure: (reason) => metrics.authFailures.inc({ reason }),
  });
  const readiness = createReadiness({
    checks: deps.checks,
    gate,
    clock,
    timeoutMs: settings.checkTimeoutMs,
    cacheMs: settings.checkCacheMs,
    logger: deps.logger,
  });
  // The tier is not known where bodies are read, and does not matter there.
  const onBodiesRefused = () => metrics.rateLimited.inc({ tier: '', reason: 'bodies' });
  const bodyTurns = (limitBytes: number) =>
    createBodyTurns(limitBytes, settings.requestTimeoutMs * WAITING_SHARE, onBodiesRefused);
  let openApiJson: string | null = null;
  return {
    admission: createAdmission({ deps, settings, metrics, authenticator }),
    bodyTurns: {
      bodyLimitBytes: bodyTurns(settings.bodyLimitBytes),
      eventsBodyLimitBytes: bodyTurns(settings.eventsBodyLimitBytes),
      itemsBodyLimitBytes: bodyTurns(settings.itemsBodyLimitBytes),
    },
    onBodiesRefused,
    context: {
      deps,
      settings,
      metrics,
      gate,
      readiness,
      overload: createOverload(settings.overload, clock, readLoopDelayMs),
      forgetKey: (publicId) => authenticator.forget(publicId),
      forgetKeys: () => authenticator.forgetAll(),
      openApiJson: () => (openApiJson ??= createOpenApiJson(routes)),
    },
  };
}

function createApp(pipeline: Pipeline, deps: ApiDeps, isStopping: () => boolean): Express {
  const { metrics, settings } = pipeline.context;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  const { trustedProxies } = settings;
  if (trustedProxies.length === 0) app.disable('trust proxy');
  else app.set('trust proxy', trustedProxies);
  app.set('query parser', false);
  app.enable('case sensitive routing');
  app.enable('strict routing');

  app.use(begin(metrics, isStopping));
  app.use(createAccessLog(deps.logger, createUserHash(settings.logHashKey)));
  app.use(securityHeaders());
  app.use(guard);
  mount(app, pipeline);
  app.use(notFound(pipeline));
  app.use(answerError(createErrorLog(deps.logger, deps.clock)));
  return app;
}

/** Gives the request its id and, at its end, its place in the metrics. */
function begin(metrics: ApiMetrics, isStopping: () => boolean): RequestHandler {
  return (req, res, next) => {
    const startNs = process.hrtime.bigint();
    const requestId = requestIdOf(req.headers.traceparent);
    const locals: ApiLocals = { requestId, isStopping, route: NO_ROUTE };
    Object.assign(res.locals, locals);
    res.setHeader('X-Request-Id', requestId);
    res.once('close', () => {
      const seconds = Number(process.hrtime.bigint() - startNs) / 1e9;
      const { route } = res.locals as ApiLocals;
      const method = req.method.length <= 8 ? req.method : 'OTHER';
      metrics.duration.observe({ method, route, status: String(statusOf(res)) }, seconds);
    });
    next();
  };
}

const guard: RequestHandler = (req, _res, next) => {
  guardRequest(req);
  next();
};

/** One Express route per path, so that any other method on it is 405 with the methods that exist. */
function mount(app: Express, pipeline: Pipeline): void {
  for (const path of new Set(routes.map((route) => route.path))) {
    const here = routes.filter((route) => route.path === path);
    const expressRoute = app.route(path.replaceAll(/\{(\w+)\}/g, ':$1'));
    expressRoute.all((_req, res, next) => {
      (res.locals as ApiLocals).route = path;
      next();
    });
    for (const route of here) expressRoute[route.method](createRouteHandler(route, pipeline));
    const allowed = here.map((route) => route.method.toUpperCase());
    if (allowed.includes('GET')) allowed.push('HEAD');
    expressRoute.all((req, res) => {
      res.setHeader('Allow', allowed.sort().join(', '));
      throw new MethodNotAllowed({
        detail: `Got ${req.method}, wanted ${allowed.join(' or ')}.`,
      });
    });
  }
}

function notFound({ admission }: Pipeline): RequestHandler {
  return (req) => {
    admission.countStray(req);
    throw new RouteNotFound({ detail: 'See /openapi.json for the routes that exist.' });
  };
}

function answerError(errorLog: ErrorLog): ErrorRequestHandler {
  return (thrown: unknown, _req, res, _next) => {
    const locals = res.locals as ApiLocals;
    const error = toNestrecError(thrown);
    if (error.traits.status >= 500) {
      errorLog(error, { requestId: locals.requestId, route: locals.route });
    }
    sendProblem(res, error);
  };
}
