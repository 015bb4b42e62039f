/** The id of a request: the trace id of a valid W3C `traceparent`, or a new random one of the same form. */
import { randomUUID } from 'node:crypto';

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?$/;

/** 32 lower-case hexadecimal digits. */
export function requestIdOf(traceparent: string | string[] | undefined): string {
  const match = typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent) : null;
  if (match !== null) {
    const [, version, traceId, parentId] = match;
    // The standard calls these invalid: version ff, and ids of zeros only.
    if (version !== 'ff' && !/^0+$/.test(traceId!) && !/^0+$/.test(parentId!)) return traceId!;
  }
  // Drawn from random bytes that Node keeps ready: a seventh of the time of asking for 16.
  return randomUUID().replaceAll('-', '');
}
