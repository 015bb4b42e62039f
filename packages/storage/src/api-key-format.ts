/**
 * The text of an API key: `rk_live_` + public id (10) + `_` + secret (24) + checksum (6), base62.
 *
 * Prefix and checksum let secret scanners recognise a leaked key and let the api turn away random
 * strings without a query. 24 base62 characters hold 142 bits. The hash is plain SHA-256: slow hashes
 * are for secrets that people choose.
 */
import { createHash, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

const PREFIX = 'rk_live_';
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const PUBLIC_ID_CHARACTERS = 10;
const SECRET_CHARACTERS = 24;
const CHECKSUM_CHARACTERS = 6;
const SHAPE = new RegExp(
  `^${PREFIX}([0-9A-Za-z]{${PUBLIC_ID_CHARACTERS}})_[0-9A-Za-z]{${SECRET_CHARACTERS}}([0-9A-Za-z]{${CHECKSUM_CHARACTERS}})$`,
);

const randomText = (length: number) =>
  Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');

function checksum(text: string): string {
  let rest = crc32(text);
  let digits = '';
  for (let i = 0; i < CHECKSUM_CHARACTERS; i++) {
    digits = ALPHABET[rest % ALPHABET.length]! + digits;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return digits;
}

export interface GeneratedKey {
  /** To be shown once. */
  readonly key: string;
  readonly publicId: string;
  /** SHA-256, 32 bytes. */
  readonly hash: Uint8Array;
}

export function hashApiKey(key: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(key).digest());
}

export function generateApiKey(): GeneratedKey {
  const publicId = randomText(PUBLIC_ID_CHARACTERS);
  const body = `${PREFIX}${publicId}_${randomText(SECRET_CHARACTERS)}`;
  const key = body + checksum(body);
  return { key, publicId, hash: hashApiKey(key) };
}

/** The public id of a well-formed key, or null. Says nothing about whether the key exists. */
export function publicIdOf(key: string): string | null {
  const match = SHAPE.exec(key);
  if (!match) return null;
  return checksum(key.slice(0, -CHECKSUM_CHARACTERS)) === match[2] ? match[1]! : null;
}
