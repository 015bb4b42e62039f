/**
 * Refuses requests that two parties could read differently, and keys in URLs, before anything is routed.
 * Knows only the raw request.
 */
import { InvalidUrl, KeyInUrl, MalformedRequest } from '@nestrec/errors';

/** What an API key looks like anywhere in a text. */
const KEY_IN_TEXT = /rk_(?:live|test)_[0-9A-Za-z]/;
/** Headers of which a second one would leave open which counts. */
const SINGLE_HEADERS = ['host', 'authorization', 'x-api-key', 'content-type', 'content-encoding'];
const KEY_PARAMETERS = /(?:^|[?&])(?:api[-_]?key|key|apikey|access[-_]?token|authorization)=/i;
const NOT_VISIBLE_ASCII = /[^\u0021-\u007e]/;

export interface RawRequest {
  readonly url: string;
  readonly httpVersion: string;
  /** Names and values in turn, as Node gives them. */
  readonly rawHeaders: readonly string[];
}

/** @throws MalformedRequest, InvalidUrl, KeyInUrl */
export function guardRequest(request: RawRequest): void {
  if (request.httpVersion !== '1.1' && request.httpVersion !== '1.0') {
    throw new MalformedRequest({ detail: 'Send HTTP/1.1.' });
  }
  guardHeaders(request.rawHeaders, request.httpVersion === '1.1');
  guardUrl(request.url);
}

function guardHeaders(rawHeaders: readonly string[], needsHost: boolean): void {
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (!SINGLE_HEADERS.includes(name)) continue;
    if (seen.has(name)) {
      throw new MalformedRequest({
        detail: `The header ${name} stands more than once; send it once.`,
      });
    }
    seen.add(name);
  }
  if (needsHost && !seen.has('host')) {
    throw new MalformedRequest({ detail: 'The header Host is absent; HTTP/1.1 needs it.' });
  }
}

function guardUrl(url: string): void {
  const decoded = decodeLeniently(url);
  if (KEY_IN_TEXT.test(decoded) || KEY_PARAMETERS.test(decoded)) {
    throw new KeyInUrl({
      detail:
        'Send the key in the header Authorization: Bearer KEY. URLs end up in logs and histories, so if this was a real key, revoke it.',
    });
  }
  if (NOT_VISIBLE_ASCII.test(url)) {
    throw new InvalidUrl({ detail: 'The URL has characters that must be percent-encoded.' });
  }
  const [path = ''] = url.split('?', 1);
  try {
    decodeURIComponent(path);
  } catch (cause) {
    throw new InvalidUrl({
      detail:
        'The path has a % that is not followed by valid UTF-8 in two hexadecimal digits each.',
      cause,
    });
  }
}

/** Decodes what can be decoded, so that a key hidden behind percent signs is seen too. */
function decodeLeniently(url: string): string {
  return url.replaceAll(/%([2-7][0-9a-fA-F])/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
