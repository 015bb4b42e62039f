/**
 * Who may read /metrics, /openapi.json and /docs without a key: this machine itself, or everybody where the
 * operator says so (`openOperations`). Anybody else needs a key with the scope `admin`.
 *
 * A request that a proxy on this machine forwards comes from loopback too, so any forwarding header makes
 * it a stranger.
 */
import type { IncomingMessage } from 'node:http';

const FORWARDING_HEADERS = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'];

export function isOnThisMachine(request: Pick<IncomingMessage, 'headers' | 'socket'>): boolean {
  const address = request.socket.remoteAddress ?? '';
  const isLoopback = address === '::1' || /^(?:::ffff:)?127\./.test(address);
  return isLoopback && FORWARDING_HEADERS.every((name) => request.headers[name] === undefined);
}
