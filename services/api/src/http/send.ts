/** Writes answers: JSON that was checked against the route's schema, content as it is, and problems. */
import {
  InternalError,
  isError,
  MalformedRequest,
  RequestTimeout,
  type NestrecError,
} from '@nestrec/errors';
import type { Response } from 'express';
import type { ApiLocals } from './locals.js';
import { PROBLEM_CONTENT_TYPE, problemHeaders, problemOf } from './problem.js';
import type { Answer, Route } from './route.js';

const JSON_CONTENT_TYPE = 'application/json; charset=utf-8';

/** @throws InternalError where the answer is not what the route documents */
export function sendAnswer(res: Response, route: Route, answer: Answer): void {
  const spec = route.answers[answer.status];
  if (spec === undefined) {
    throw new InternalError({ cause: new Error(`undocumented status ${answer.status}`) });
  }
  if ('content' in answer) {
    write(res, answer.status, answer.contentType, answer.content);
    return;
  }
  if (spec.schema === undefined) {
    write(res, answer.status, null, '');
    return;
  }
  // Only what the schema lists leaves the process.
  const checked = spec.schema.safeParse('body' in answer ? answer.body : undefined);
  if (!checked.success) throw new InternalError({ cause: checked.error });
  if ('headers' in answer) setHeaders(res, answer.headers ?? {});
  const contentType = spec.problem === true ? PROBLEM_CONTENT_TYPE : JSON_CONTENT_TYPE;
  write(res, answer.status, contentType, JSON.stringify(checked.data));
}

export function sendProblem(res: Response, error: NestrecError): void {
  const locals = res.locals as ApiLocals;
  locals.code = error.code;
  if (res.headersSent) {
    res.destroy();
    return;
  }
  setHeaders(res, problemHeaders(error));
  // What comes after bytes that two parties may read differently must not be read at all, nor the rest of a body
  // that comes too slowly.
  if (isError(error, MalformedRequest) || isError(error, RequestTimeout))
    res.setHeader('Connection', 'close');
  const problem = problemOf(error, locals.requestId);
  write(res, problem.status, PROBLEM_CONTENT_TYPE, JSON.stringify(problem));
}

function setHeaders(res: Response, headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
}

function write(
  res: Response,
  status: number,
  contentType: string | null,
  content: string | Uint8Array,
): void {
  res.statusCode = status;
  if (contentType !== null) {
    res.setHeader('Content-Type', contentType);
    res.setHeader('Content-Length', Buffer.byteLength(content));
  }
  // Said as late as possible: the stop may have begun while the handler worked.
  if ((res.locals as ApiLocals).isStopping()) res.setHeader('Connection', 'close');
  res.end(content);
}
