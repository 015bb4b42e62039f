/** What one request gathers on its way through the pipeline (`res.locals`), for the log and the metrics. */
import type { AuthFailure } from '../keys/authenticator.js';
import type { Client } from './route.js';

export interface ApiLocals {
  requestId: string;
  /** Whether the server is on its way out, so that no connection should be kept. */
  isStopping: () => boolean;
  /** Path template; `(none)` until a route is found, so that unknown paths share one label. */
  route: string;
  client?: Client;
  /** Why there is no client, and where the request came from. */
  authFailure?: AuthFailure;
  address?: string;
  /** Whom the request is about; for logs as a keyed hash only. */
  userId?: string;
  modelVersion?: string;
  /** Code of the error that was answered. */
  code?: string;
}

export const NO_ROUTE = '(none)';
