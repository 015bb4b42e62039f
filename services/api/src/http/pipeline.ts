/**
 * What happens to every request of a route, in this order: key, limits and scope, query, path, body, handler,
 * answer. Nothing is read of a request that has not shown that it may ask.
 */
import { BodyTooLarge, Forbidden } from '@nestrec/errors';
import type { Request, RequestHandler, Response } from 'express';
import { z } from 'zod';
import type { Admission } from '../limits/admission.js';
import { createBodyReader, type BodyReader } from './body.js';
import type { ApiLocals } from './locals.js';
import { isOnThisMachine } from './operator-access.js';
import { createQueryReader } from './query.js';
import type { BodyLimit, Client, Route, RouteContext } from './route.js';
import { sendAnswer } from './send.js';
import { createTurns, WAITING_SHARE, type Turns } from './turns.js';
import { parseInput } from './validate.js';

const NO_FIELDS = z.strictObject({});

export interface Pipeline {
  readonly context: Omit<RouteContext, 'requestId'>;
  readonly admission: Admission;
  /** Turns at reading large bodies, shared by all routes of a limit. */
  readonly bodyTurns: Readonly<Record<BodyLimit, Turns>>;
  /** A request was refused since too many bodies wait. */
  readonly onBodiesRefused: () => void;
}

export function createRouteHandler(route: Route, pipeline: Pipeline): RequestHandler {
  const { settings } = pipeline.context;
  const querySchema = route.query ?? NO_FIELDS;
  const readQuery = createQueryReader(querySchema);
  const limit = route.bodyLimit ?? 'bodyLimitBytes';
  const readBody: BodyReader = createBodyReader({
    limitBytes: settings[limit],
    turns: pipeline.bodyTurns[limit],
    pace: { windowMs: settings.bodyWindowMs, bytesPerSecond: settings.bodyMinBytesPerSecond },
    holdsPlace: route.turns !== undefined,
  });
  const turns =
    route.turns &&
    createTurns({
      room: route.turns.atOnce,
      largest: 1,
      waiting: route.turns.waiting,
      longestWaitMs: settings.requestTimeoutMs * WAITING_SHARE,
      of: 'requests of this route',
      onRefused: pipeline.onBodiesRefused,
    });
  const isAboutUser = route.path.startsWith('/v1/users/');

  return async (req, res) => {
    const locals = res.locals as ApiLocals;
    const client = await admit(route, req, res, pipeline);
    const query = parseInput(querySchema, readQuery(searchOf(req)), 'query');
    const params: unknown = route.params && parseInput(route.params, { ...req.params }, 'path');
    if (isAboutUser) locals.userId = (params as { id: string }).id;
    const clientName = client?.client ?? '';
    const endTurn = await turns?.take(clientName, 1);
    try {
      const body =
        route.body === undefined
          ? undefined
          : parseBody(route, await readBody(req, res, clientName));
      const context = { ...pipeline.context, requestId: locals.requestId };
      const answer = await route.handle({ params, query, body }, context, client);
      noteModel(locals, answer);
      sendAnswer(res, route, answer);
    } finally {
      endTurn?.();
    }
  };
}

/**
 * The client behind the request's key; null where the route needs none.
 * @throws Unauthorized, RateLimited, Forbidden
 */
async function admit(
  route: Route,
  req: Request,
  res: Response,
  pipeline: Pipeline,
): Promise<Client | null> {
  const { access } = route;
  if (access.kind === 'public') return null;
  if (access.kind === 'operator') {
    const open = pipeline.context.settings.openOperations || isOnThisMachine(req);
    if (open) return null;
  }
  const anyOf = access.kind === 'scopes' ? access.anyOf : (['admin'] as const);
  const key = await pipeline.admission.admit(req, res);
  if (!anyOf.some((scope) => key.scopes.includes(scope))) {
    throw new Forbidden({
      detail: `The key has the scopes ${key.scopes.join(', ')}; this needs ${anyOf.join(' or ')}.`,
    });
  }
  return key;
}

function parseBody(route: Route, value: unknown): unknown {
  const { listLimit } = route;
  if (listLimit !== undefined) {
    const list = (value as Record<string, unknown>)[listLimit.field];
    if (Array.isArray(list) && list.length > listLimit.entries) {
      throw new BodyTooLarge({
        detail: `Got ${list.length} ${listLimit.field}; send at most ${listLimit.entries} ${listLimit.field} at a time.`,
      });
    }
  }
  return parseInput(route.body!, value, 'body');
}

function searchOf(req: Request): string {
  const cut = req.url.indexOf('?');
  return cut === -1 ? '' : req.url.slice(cut + 1);
}

/** The version that served an answer goes into the log line. */
function noteModel(locals: ApiLocals, answer: object): void {
  const body = 'body' in answer ? answer.body : null;
  const served = body as { served_by?: { model_version?: string } } | null;
  if (served?.served_by?.model_version !== undefined) {
    locals.modelVersion = served.served_by.model_version;
  }
}
