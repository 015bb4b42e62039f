/**
 * The token of POST /v1/events: the greatest log position of each partition that the request wrote to.
 * Opaque to clients; a forged one can only make its own request wait.
 */
import { InvalidRequest } from '@nestrec/errors';
import type { LogPosition } from '../deps.js';

const VERSION = 'p1';
const TEXT = /^p1(?::[0-9]{1,6}@[0-9]{1,18}){1,256}$/;

export function encodeToken(positions: readonly LogPosition[]): string {
  const greatest = new Map<number, bigint>();
  for (const { partition, offset } of positions) {
    const known = greatest.get(partition);
    if (known === undefined || offset > known) greatest.set(partition, offset);
  }
  const parts = [...greatest].sort(([a], [b]) => a - b).map(([p, offset]) => `${p}@${offset}`);
  return Buffer.from([VERSION, ...parts].join(':')).toString('base64url');
}

/** @throws InvalidRequest where it is not a token of ours */
export function decodeToken(token: string): LogPosition[] {
  const text = /^[\w-]+$/.test(token) ? Buffer.from(token, 'base64url').toString('latin1') : '';
  if (!TEXT.test(text)) {
    const want = 'the token of an answer of POST /v1/events, unchanged';
    throw new InvalidRequest({
      detail: `after: got another text, wanted ${want}.`,
      fields: [{ path: 'after', got: 'another text', want }],
    });
  }
  return text
    .split(':')
    .slice(1)
    .map((part) => {
      const [partition, offset] = part.split('@');
      return { partition: Number(partition), offset: BigInt(offset!) };
    });
}
