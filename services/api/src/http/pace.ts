/**
 * The pace that a body must keep which others may wait for: in each window of time so many bytes of its
 * connection, else 408. Knows nothing of HTTP but the socket that the bytes come by.
 */
import type { IncomingMessage } from 'node:http';
import { RequestTimeout } from '@nestrec/errors';

export interface Pace {
  readonly windowMs: number;
  /** Averaged over a window; 0: any pace will do. */
  readonly bytesPerSecond: number;
}

const SECOND_MS = 1_000;

/**
 * What `reading` resolves to, unless the sender falls behind before.
 * @throws RequestTimeout where a window brought less than it had to
 */
export async function keepPace<T>(
  req: IncomingMessage,
  { windowMs, bytesPerSecond }: Pace,
  reading: Promise<T>,
): Promise<T> {
  if (bytesPerSecond === 0) return reading;
  const wantBytes = (bytesPerSecond * windowMs) / SECOND_MS;
  let timer: NodeJS.Timeout | undefined;
  const behind = new Promise<never>((_, reject) => {
    let seenBytes = req.socket.bytesRead;
    const look = () => {
      // All is here, and it is we who have not finished with it.
      if (req.complete) return;
      const gotBytes = req.socket.bytesRead - seenBytes;
      if (gotBytes < wantBytes) reject(tooSlow(gotBytes, windowMs, bytesPerSecond));
      seenBytes = req.socket.bytesRead;
    };
    // What came while this process was busy is read between a timer and the next immediate: it counts.
    timer = setInterval(() => setImmediate(look), windowMs);
  });
  try {
    return await Promise.race([reading, behind]);
  } finally {
    clearInterval(timer);
  }
}

function tooSlow(gotBytes: number, windowMs: number, bytesPerSecond: number) {
  return new RequestTimeout({
    detail: `${gotBytes} bytes of the body came within ${windowMs / SECOND_MS} s, wanted ${bytesPerSecond} bytes a second; send it again, faster or in smaller parts.`,
  });
}
