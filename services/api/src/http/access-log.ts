/**
 * One line per request: ids, route template, status, duration, client. Never headers, bodies or URLs (a URL
 * holds a user id); the user appears as a keyed hash. An address stands only where no valid key was shown.
 */
import type { Logger } from '@nestrec/runtime';
import type { Request, Response } from 'express';
import { pinoHttp } from 'pino-http';
import type { ApiLocals } from './locals.js';

export function createAccessLog(logger: Logger) {
  return pinoHttp<Request, Response>({
    logger,
    genReqId: (req) => (req.res?.locals as ApiLocals | undefined)?.requestId ?? '',
    wrapSerializers: false,
    quietReqLogger: true,
    quietResLogger: true,
    serializers: { req: () => undefined, res: () => undefined, err: () => undefined },
    customSuccessMessage: () => 'request',
    customErrorMessage: () => 'request',
    customAttributeKeys: { responseTime: 'duration_ms', reqId: 'request_id' },
    customProps: (req, res) => {
      const locals = res.locals as ApiLocals;
      return {
        method: req.method,
        route: locals.route,
        status: res.statusCode,
        code: locals.code,
        client_id: locals.client?.client,
        key_id: locals.client?.publicId,
        auth_failure: locals.authFailure,
        address: locals.address,
        user: locals.userHash,
        model_version: locals.modelVersion,
      };
    },
  });
}
