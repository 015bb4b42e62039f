/**
 * Files of precomputed item vectors: .safetensors, .npy, and JSON Lines of {"item_id", "vector"}.
 *
 * Reads files; knows nothing of models. Which item a row belongs to: JSON Lines say it; for the others
 * it is an ids file (one id a line) or the order of an item list that the caller has.
 */
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { idFault, type NamedArray } from '@nestrec/contracts';
import { excerpt, InputNotFound, InvalidInput, NestrecError } from '@nestrec/errors';
import { decodeNpy, decodeSafetensors } from '@nestrec/tensor-files';

export interface ItemVectors {
  /** Row r's item; absent when the file says nothing about items. */
  readonly ids?: readonly string[];
  /** [rows, width], all finite. */
  readonly array: NamedArray;
}

export interface ReadVectorsOptions {
  /** A text file of item ids, one a line, row by row (.safetensors and .npy only). */
  readonly idsPath?: string;
  /** Which tensor of a .safetensors file that holds several. */
  readonly tensor?: string;
}

const MAX_LINE_CHARACTERS = 1_000_000;

/** Throws `InputNotFound`, or `InvalidInput` that names file and line, tensor or row. */
export async function readVectors(
  path: string,
  options: ReadVectorsOptions = {},
): Promise<ItemVectors> {
  const kind = extname(path).toLowerCase();
  if (kind === '.jsonl' || kind === '.ndjson') return readJsonLines(path);
  if (kind !== '.safetensors' && kind !== '.npy') {
    refuse(path, `the ending is "${kind}"; .safetensors, .npy and .jsonl are read`);
  }
  const bytes = await readBytes(path);
  const array = decode(path, () =>
    kind === '.npy'
      ? decodeNpy(bytes)
      : pickTensor(decodeSafetensors(bytes).arrays, options.tensor),
  );
  checkMatrix(path, array);
  if (options.idsPath === undefined) return { array };
  const ids = await readIds(options.idsPath);
  if (ids.length !== array.shape[0]) {
    refuse(options.idsPath, `has ${ids.length} ids for ${array.shape[0]} rows of ${excerpt(path)}`);
  }
  return { ids, array };
}

/**
 * The vectors by item id. Without ids of its own a file must have one row per entry of `itemIds`, in
 * that order. Throws `InvalidInput` when the counts differ. Items without a row are simply absent.
 */
export function vectorsByItem(
  vectors: ItemVectors,
  itemIds: readonly string[],
): ReadonlyMap<string, Float32Array> {
  const [rows, width] = vectors.array.shape as [number, number];
  const ids = vectors.ids ?? itemIds;
  if (ids.length !== rows) {
    throw new InvalidInput({
      detail:
        `Got ${rows} vectors without ids for a list of ${ids.length} items; wanted one row per item ` +
        'in the order of the list. Give an ids file, or JSON Lines with item_id.',
    });
  }
  return new Map(ids.map((id, r) => [id, vectors.array.data.subarray(r * width, (r + 1) * width)]));
}

/**
 * The order in which rows without ids are matched to a catalogue: by number where every id is a whole
 * number (so that row 2 is item "2" and not "10"), by Unicode code units otherwise.
 */
export function catalogueOrder(ids: readonly string[]): {
  by: 'number' | 'text';
  ids: string[];
} {
  const numbers = ids.every((id) => /^(0|[1-9]\d{0,14})$/.test(id));
  return numbers
    ? { by: 'number', ids: [...ids].sort((a, b) => Number(a) - Number(b)) }
    : { by: 'text', ids: [...ids].sort() };
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw notReadable(path, cause);
  }
}

function notReadable(path: string, cause: unknown): NestrecError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
  return new InputNotFound({ detail: `Cannot read ${path}: ${code}. Check the path.`, cause });
}

function decode<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof NestrecError) return refuse(path, error.detail ?? error.message);
    throw error;
  }
}

function pickTensor(arrays: ReadonlyMap<string, NamedArray>, name: string | undefined): NamedArray {
  const names = [...arrays.keys()];
  const wanted = name ?? (names.length === 1 ? names[0]! : 'vectors');
  const array = arrays.get(wanted);
  if (array !== undefined) return array;
  throw new InvalidInput({
    detail: `there is no tensor "${excerpt(wanted)}"; the file has ${excerpt(names.join(', '))}`,
  });
}

function checkMatrix(path: string, { shape, data }: NamedArray): void {
  const [rows, width] = shape;
  if (shape.length !== 2 || !rows || !width) {
    refuse(path, `the shape is [${shape.join(', ')}]; [items, width] is wanted`);
  }
  const bad = data.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    const row = Math.floor(bad / width!);
    refuse(path, `row ${row}, column ${bad % width!} is ${data[bad]}; finite numbers are wanted`);
  }
}

async function readIds(path: string): Promise<string[]> {
  const text = new TextDecoder().decode(await readBytes(path));
  const ids = text.split(/\r?\n/);
  if (ids.at(-1) === '') ids.pop();
  const seen = new Set<string>();
  ids.forEach((id, index) => checkId(path, index + 1, id, seen));
  return ids;
}

function checkId(path: string, line: number, id: string, seen: Set<string>): void {
  const fault = idFault(id);
  if (fault !== null) refuse(path, `line ${line}: the item id "${excerpt(id)}" ${fault}`);
  if (seen.has(id)) refuse(path, `line ${line}: the item id "${excerpt(id)}" stands there twice`);
  seen.add(id);
}

async function readJsonLines(path: string): Promise<ItemVectors> {
  const ids: string[] = [];
  const seen = new Set<string>();
  let width = 0;
  let data = new Float32Array(0);
  let line = 0;
  for await (const text of linesOf(path)) {
    line++;
    if (text.trim() === '') continue;
    const row = parseLine(path, line, text);
    checkId(path, line, row.id, seen);
    if (width === 0) width = row.vector.length;
    if (row.vector.length !== width) {
      refuse(path, `line ${line} has ${row.vector.length} numbers, the lines before have ${width}`);
    }
    if ((ids.length + 1) * width > data.length) data = grown(data, 64 * width);
    data.set(row.vector, ids.length * width);
    ids.push(row.id);
  }
  const array = { shape: [ids.length, width], data: data.subarray(0, ids.length * width) };
  checkMatrix(path, array);
  return { ids, array };
}

async function* linesOf(path: string): AsyncGenerator<string> {
  const input = createReadStream(path, { encoding: 'utf8' });
  try {
    yield* createInterface({ input, crlfDelay: Infinity });
  } catch (cause) {
    throw notReadable(path, cause);
  } finally {
    input.destroy();
  }
}

function grown(data: Float32Array, least: number): Float32Array<ArrayBuffer> {
  const larger = new Float32Array(Math.max(least, data.length * 2));
  larger.set(data);
  return larger;
}

function parseLine(path: string, line: number, text: string): { id: string; vector: number[] } {
  if (text.length > MAX_LINE_CHARACTERS) {
    refuse(path, `line ${line} has ${text.length} characters; at most ${MAX_LINE_CHARACTERS}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    refuse(path, `line ${line} is not JSON: ${excerpt(text)}`);
  }
  const { item_id: id, vector } = (value ?? {}) as Record<string, unknown>;
  if (typeof id !== 'string') refuse(path, `line ${line}: item_id must be a string`);
  const numbers = Array.isArray(vector) && vector.length > 0 && vector.every(Number.isFinite);
  if (!numbers) refuse(path, `line ${line}: vector must be a list of finite numbers`);
  return { id: id as string, vector: vector as number[] };
}

function refuse(path: string, reason: string): never {
  throw new InvalidInput({ detail: `${path}: ${reason}.` });
}
