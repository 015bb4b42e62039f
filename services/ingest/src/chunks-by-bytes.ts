/** Cuts a list into runs whose sizes add up to no more than a limit; each has one entry at least. */
export function* chunksByBytes<T>(
  entries: readonly T[],
  sizeOf: (entry: T) => number,
  maxBytes: number,
): Generator<T[]> {
  let chunk: T[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const size = sizeOf(entry);
    if (chunk.length > 0 && bytes + size > maxBytes) {
      yield chunk;
      [chunk, bytes] = [[], 0];
    }
    chunk.push(entry);
    bytes += size;
  }
  if (chunk.length > 0) yield chunk;
}
