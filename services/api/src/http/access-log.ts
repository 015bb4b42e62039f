/**
 * One line per request: ids, route template, status, duration, client. Never headers, bodies or URLs (a URL
 * holds a user id); the user appears as a keyed hash. An address stands only where no valid key was shown.
 *
 * Straight to pino: of pino-http every part was turned off but this line, for which it made four loggers a request.
 */
import type { Logger } from '@nestrec/runtime';
import type { RequestHandler } from 'express';
import type { ApiLocals } from './locals.js';
import { statusOf } from './status-of.js';

/** @param hashUser makes of a user's id what a log may hold */
export function createAccessLog(
  logger: Logger,
  hashUser: (userId: string) => string,
): RequestHandler {
  return (req, res, next) => {
    const startedMs = performance.now();
    // Comes once, also where the client went before its answer.
    res.once('close', () => {
      if (!logger.isLevelEnabled('info')) return;
      const locals = res.locals as ApiLocals;
      const line = {
        request_id: locals.requestId,
        method: req.method,
        route: locals.route,
        status: statusOf(res),
        code: locals.code,
        client_id: locals.client?.client,
        key_id: locals.client?.publicId,
        auth_failure: locals.authFailure,
        address: locals.address,
        user: locals.userId === undefined ? undefined : hashUser(locals.userId),
        model_version: locals.modelVersion,
        duration_ms: Math.round(performance.now() - startedMs),
      };
      logger.info(line, 'request');
    });
    next();
  };
}
