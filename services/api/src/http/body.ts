/**
 * Reads a JSON body: media type, size (also of what a compressed body inflates to), encoding, nesting,
 * repeated and forbidden keys. What comes out is still to be parsed by the route's schema.
 */
import {
  BodyMustBeObject,
  BodyRequired,
  BodyTooDeep,
  BodyTooLarge,
  excerpt,
  InvalidJson,
  UnknownField,
  UnsupportedMediaType,
} from '@nestrec/errors';
import express, { type Request, type Response } from 'express';
import { scanJson, type JsonFault } from './json-scan.js';
import { keepPace, type Pace } from './pace.js';
import { createTurns, type Turns } from './turns.js';

export const MAX_BODY_DEPTH = 8;

/** Reads the body of a request of this client. */
export type BodyReader = (req: Request, res: Response, client: string) => Promise<unknown>;

export interface BodyReaderOptions {
  readonly limitBytes: number;
  readonly turns: Turns;
  readonly pace: Pace;
  /** Small bodies keep others waiting as well: the route itself has turns. */
  readonly holdsPlace?: boolean;
}

/** Bodies of up to so many bytes are read whenever they come. */
const SMALL_BYTES = 16_000;
/** Room for the bodies of one limit that are read at once; at least for two as large as the limit allows. */
const ROOM_BYTES = 4_000_000;
/** How many more wait unread. Of each Node has read the first 64 KiB ahead, so this bounds memory too. */
const WAITING = 128;

/** Turns at reading the bodies of one limit: a flood of one kind of body does not keep the others waiting. */
export function createBodyTurns(
  limitBytes: number,
  longestWaitMs: number,
  onRefused: () => void,
): Turns {
  const room = Math.max(ROOM_BYTES, 2 * limitBytes);
  return createTurns({
    room,
    largest: limitBytes,
    waiting: WAITING,
    longestWaitMs,
    of: 'large bodies',
    onRefused,
  });
}

/**
 * A reader with a limit in bytes, counted after decompression. Large bodies take turns by their size, which is
 * the limit where it is not known before: what all of them hold in memory at once is bounded. One that others
 * may wait for must keep the pace.
 */
export function createBodyReader(options: BodyReaderOptions): BodyReader {
  const { limitBytes, turns, pace, holdsPlace = false } = options;
  const readRaw = express.raw({ type: () => true, limit: limitBytes, inflate: true });
  return async (req, res, client) => {
    if (!hasBody(req)) throw new BodyRequired({ detail: 'Send a JSON object as the body.' });
    checkMediaType(req.headers['content-type']);
    const bytes = sizeOf(req, limitBytes);
    const endTurn = bytes <= SMALL_BYTES ? undefined : await turns.take(client, bytes);
    const isWaitedFor = holdsPlace || endTurn !== undefined;
    try {
      return parseJson(await (isWaitedFor ? keepPace(req, pace, read(req, res)) : read(req, res)));
    } finally {
      endTurn?.();
    }
  };
  async function read(req: Request, res: Response): Promise<Uint8Array> {
    await new Promise<void>((resolve, reject) => {
      readRaw(req, res, (error?: unknown) => {
        if (error === undefined) resolve();
        else reject(readFault(error, limitBytes));
      });
    });
    const bytes: unknown = req.body;
    if (!(bytes instanceof Uint8Array) || bytes.length === 0) {
      throw new BodyRequired({ detail: 'The body is empty; send a JSON object.' });
    }
    return bytes;
  }
}

/**
 * How many bytes the body may become in memory.
 * @throws BodyTooLarge where it says itself that it is
 */
function sizeOf({ headers }: Request, limitBytes: number): number {
  const isPlain = (headers['content-encoding'] ?? 'identity') === 'identity';
  if (!isPlain || headers['content-length'] === undefined) return limitBytes;
  const bytes = Number(headers['content-length']);
  if (bytes > limitBytes) throw tooLarge(limitBytes);
  return bytes;
}

function hasBody(req: Request): boolean {
  if (req.headers['transfer-encoding'] !== undefined) return true;
  return Number(req.headers['content-length'] ?? 0) > 0;
}

function checkMediaType(header: string | undefined): void {
  const [type = '', ...parameters] = (header ?? '').split(';').map((part) => part.trim());
  const got = header === undefined ? 'no Content-Type' : `Content-Type ${excerpt(header)}`;
  if (type.toLowerCase() !== 'application/json') {
    throw new UnsupportedMediaType({ detail: `Got ${got}; send Content-Type: application/json.` });
  }
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.toLowerCase().split('=');
    if (name === 'charset' && !['utf-8', '"utf-8"', 'utf8'].includes(value)) {
      throw new UnsupportedMediaType({ detail: `Got ${got}; JSON is read as UTF-8 only.` });
    }
  }
}

function tooLarge(limitBytes: number) {
  return new BodyTooLarge({
    detail: `The body, decompressed, is larger than ${limitBytes} bytes, the limit of this route; send less at a time.`,
  });
}

/** A fault of reading, told apart by the type that body-parser gives it. */
function readFault(error: unknown, limitBytes: number): unknown {
  const { type, code } = error as { type?: string; code?: string };
  switch (type) {
    case 'entity.too.large':
      return tooLarge(limitBytes);
    case 'encoding.unsupported':
      return new UnsupportedMediaType({
        detail: 'The Content-Encoding is not supported; send gzip, deflate, br or none.',
      });
    case 'request.aborted':
    case 'request.size.invalid':
      return new InvalidJson({ detail: 'The body ended before its Content-Length.', cause: error });
    default:
      return typeof code === 'string' && code.startsWith('Z_')
        ? new InvalidJson({ detail: 'The body does not decompress as its Content-Encoding says.' })
        : error;
  }
}

/** @throws InvalidJson, BodyTooDeep, UnknownField, BodyMustBeObject */
export function parseJson(bytes: Uint8Array): unknown {
  const text = decodeUtf8(bytes);
  if (text.trim() === '')
    throw new BodyRequired({ detail: 'The body is blank; send a JSON object.' });
  const fault = scanJson(text, MAX_BODY_DEPTH);
  if (fault !== null) throw faultError(fault);
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const got = Array.isArray(value) ? 'a list' : value === null ? 'null' : `a ${typeof value}`;
    throw new BodyMustBeObject({ detail: `Got ${got}, wanted an object in braces.` });
  }
  return value;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new InvalidJson({ detail: 'The body is not UTF-8.', cause });
  }
}

function faultError(fault: JsonFault) {
  switch (fault.kind) {
    case 'syntax':
      return new InvalidJson({
        detail: `The JSON is broken at character ${fault.position} (counted from 0).`,
      });
    case 'too_deep':
      return new BodyTooDeep({
        detail: `More than ${MAX_BODY_DEPTH} levels of nesting at character ${fault.position}.`,
      });
    case 'duplicate_key':
      return new InvalidJson({
        detail: `The key ${excerpt(fault.key)} stands twice in one object (character ${fault.position}); send it once.`,
      });
    case 'forbidden_key':
      return new UnknownField({
        detail: `The key ${excerpt(fault.key)} at character ${fault.position} is not allowed anywhere.`,
        fields: [{ path: excerpt(fault.key), got: 'an unknown name', want: 'another name' }],
      });
  }
}
