/**
 * The bytes of a source file, inflated, in chunks, with bounds: a small file must not unpack into
 * something that fills the disk or the night.
 */
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import { excerpt, InvalidInput } from '@nestrec/errors';
import type { SourceFile } from './source-file.js';

export const DEFAULT_MAX_INFLATED_BYTES = 64 * 2 ** 30;
/** Past the first 256 MiB, no honest table shrinks by more than this. */
const MAX_RATIO = 200;
const RATIO_APPLIES_FROM = 256 * 2 ** 20;
const CHUNK_BYTES = 64 * 1024;
/** A zstd block of 4 bytes may stand for 128 KiB, and its decoder cannot pause: feed it little at once. */
const ZSTD_FEED_BYTES = 1024;

/** @throws InvalidInput for a damaged or truncated stream, and for one that inflates past the bounds. */
export async function* readBytes(
  file: SourceFile,
  maxInflatedBytes = DEFAULT_MAX_INFLATED_BYTES,
): AsyncGenerator<Buffer, void, undefined> {
  if (file.compression === 'none') return yield* rawChunks(file);
  let inflated = 0;
  const chunks = file.compression === 'gzip' ? gunzip(file) : unzstd(file);
  for await (const chunk of chunks) {
    inflated += chunk.length;
    const suspicious =
      inflated > RATIO_APPLIES_FROM && inflated > MAX_RATIO * Math.max(1, file.sizeBytes);
    if (suspicious || inflated > maxInflatedBytes)
      throw new InvalidInput({
        detail:
          `${excerpt(file.path)} (${file.sizeBytes} bytes) inflates to more than ` +
          (suspicious
            ? `${MAX_RATIO} times its size; unpack it yourself if it is meant so.`
            : `${maxInflatedBytes} bytes; split it.`),
      });
    yield chunk;
  }
}

async function* rawChunks(file: SourceFile): AsyncGenerator<Buffer, void, undefined> {
  for (let position = 0; ;) {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    const { bytesRead } = await file.handle.read(buffer, 0, CHUNK_BYTES, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

async function* gunzip(file: SourceFile): AsyncGenerator<Buffer, void, undefined> {
  const unzip = createGunzip({ chunkSize: CHUNK_BYTES });
  const source = Readable.from(rawChunks(file));
  source.on('error', (error) => unzip.destroy(error));
  source.pipe(unzip);
  try {
    for await (const chunk of unzip) yield chunk as Buffer;
  } catch (error) {
    throw damaged(file, 'gzip', error);
  } finally {
    source.destroy();
    unzip.destroy();
  }
}

async function* unzstd(file: SourceFile): AsyncGenerator<Buffer, void, undefined> {
  let ready: Buffer[] = [];
  const decoder = new Decompress((data) => {
    // The decoder reuses its buffer.
    if (data.length > 0) ready.push(Buffer.from(data));
  });
  const feed = (bytes: Uint8Array, final: boolean) => {
    try {
      decoder.push(bytes, final);
    } catch (error) {
      throw damaged(file, 'zstd', error);
    }
  };
  for await (const chunk of rawChunks(file)) {
    for (let at = 0; at < chunk.length; at += ZSTD_FEED_BYTES) {
      feed(chunk.subarray(at, at + ZSTD_FEED_BYTES), false);
      yield* ready;
      ready = [];
    }
  }
  feed(new Uint8Array(0), true);
  yield* ready;
}

function damaged(file: SourceFile, format: string, cause: unknown) {
  return new InvalidInput({
    detail: `${excerpt(file.path)} is damaged or cut off (${format}: ${(cause as Error).message}); get a whole copy.`,
    cause,
  });
}
