/**
 * The cursor of paged lists: which items the pages before have shown, as short hashes. Pure.
 *
 * Not a place in an order: between two pages a user's state moves, and a place in yesterday's order would
 * repeat and skip. A page is the best of what was not shown, so nothing is repeated whatever changed, and
 * while nothing changed the pages are the one long list, cut. Opaque to clients; one that is forged hides
 * items from its own answer and does nothing else.
 */
import { hash } from 'node:crypto';
import { InvalidRequest } from '@nestrec/errors';

/** Once the pages of a list have shown so many items it ends. */
export const MAX_PAGED_ITEMS = 500;

/** Eight bytes: among a million items and 500 shown, a stranger is taken for shown once in 10^10. */
const HASH_BYTES = 8;
const CHECK_BYTES = 4;
const FORMAT = 1;

/** What pages before have shown. */
export interface ShownItems {
  readonly count: number;
  has(itemId: string): boolean;
  /** The cursor that stands for these and the items of one more page; null from MAX_PAGED_ITEMS on. */
  cursorWith(itemIds: readonly string[]): string | null;
}

export const NOTHING_SHOWN = shownOf([]);

/** @throws InvalidRequest where it is not a cursor of ours */
export function decodeCursor(cursor: string): ShownItems {
  const bytes = /^[\w-]+$/.test(cursor) ? Buffer.from(cursor, 'base64url') : Buffer.alloc(0);
  const content = bytes.subarray(0, -CHECK_BYTES);
  const isOurs =
    content.length > 1 &&
    content.length < 1 + HASH_BYTES * MAX_PAGED_ITEMS &&
    content[0] === FORMAT &&
    (content.length - 1) % HASH_BYTES === 0 &&
    checkOf(content).equals(bytes.subarray(-CHECK_BYTES)) &&
    bytes.toString('base64url') === cursor;
  if (!isOurs) {
    const want = 'next of an earlier answer, unchanged';
    throw new InvalidRequest({
      detail: `cursor: got another text, wanted ${want}.`,
      fields: [{ path: 'cursor', got: 'another text', want }],
    });
  }
  const hashes: string[] = [];
  for (let from = 1; from < content.length; from += HASH_BYTES) {
    hashes.push(content.toString('latin1', from, from + HASH_BYTES));
  }
  return shownOf(hashes);
}

function shownOf(hashes: readonly string[]): ShownItems {
  const known = new Set(hashes);
  return {
    count: hashes.length,
    has: (itemId) => known.size > 0 && known.has(hashOf(itemId)),
    cursorWith: (itemIds) => {
      if (hashes.length + itemIds.length >= MAX_PAGED_ITEMS) return null;
      const text = [String.fromCharCode(FORMAT), ...hashes, ...itemIds.map(hashOf)].join('');
      const content = Buffer.from(text, 'latin1');
      return Buffer.concat([content, checkOf(content)]).toString('base64url');
    },
  };
}

/** Eight characters below 256. Not secret: it has to be the same in every process. */
const hashOf = (itemId: string) => hash('sha1', itemId, 'binary').slice(0, HASH_BYTES);

/** Tells a cut or mistyped cursor from a whole one. */
const checkOf = (content: Buffer) => hash('sha1', content, 'buffer').subarray(0, CHECK_BYTES);
