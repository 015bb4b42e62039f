/**
 * Logs faults of ours with their stack, but the same one only a few times per window: a failing route under
 * load must not fill the disk. What was left out is counted in the next line of its kind.
 */
import type { NestrecError } from '@nestrec/errors';
import type { Clock, Logger } from '@nestrec/runtime';

const WINDOW_MS = 10_000;
const LINES_PER_WINDOW = 5;
const MAX_KINDS = 1_000;

export type ErrorLog = (error: NestrecError, where: { requestId: string; route: string }) => void;

export function createErrorLog(logger: Logger, clock: Clock): ErrorLog {
  const windows = new Map<string, { startMs: number; lines: number; leftOut: number }>();
  return (error, { requestId, route }) => {
    const kind = `${error.code} ${route}`;
    const nowMs = clock.now();
    let window = windows.get(kind);
    if (window === undefined || nowMs - window.startMs >= WINDOW_MS) {
      const leftOut = window?.leftOut ?? 0;
      if (leftOut > 0)
        logger.error({ code: error.code, route, leftOut }, 'errors left out of the log');
      window = { startMs: nowMs, lines: 0, leftOut: 0 };
      if (windows.size >= MAX_KINDS) windows.clear();
      windows.set(kind, window);
    }
    if (window.lines >= LINES_PER_WINDOW) {
      window.leftOut++;
      return;
    }
    window.lines++;
    logger.error(
      { request_id: requestId, route, code: error.code, error: describeCause(error) },
      'a request failed',
    );
  };
}

/** Name, message and stack only: drivers hang the values of a row, or a whole body, on their errors. */
function describeCause(error: NestrecError): { name: string; message: string; stack: string } {
  const cause = error.cause instanceof Error ? error.cause : error;
  return { name: cause.name, message: cause.message, stack: cause.stack ?? '' };
}
