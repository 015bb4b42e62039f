/**
 * Damaged copies of one artifact, drawn at random from every kind that reliability.md names: bytes that the
 * manifest's hashes give away, and files that were made to fit them, as a hostile hand would.
 *
 * Each mutant is a set of files in place of the good ones, with what its refusal must name.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '@nestrec/contracts';
import type { Random } from '@nestrec/random';

export interface Mutant {
  readonly kind: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly names: RegExp;
}

const WEIGHTS = 'weights.safetensors';
const PAGE = 4_096;

interface Header {
  [tensor: string]: { dtype: string; shape: number[]; data_offsets: [number, number] };
}
interface Weights {
  readonly header: Header;
  readonly data: Uint8Array;
}

/** A good artifact, to be damaged again and again. */
export interface GoodArtifact {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly manifest: Manifest;
}

/** A copy: slices of what `readFile` gives would be views of it. */
const readBytes = async (path: string) => Uint8Array.from(await readFile(path));

export async function readGood(folder: string): Promise<GoodArtifact> {
  const bytes = await readBytes(join(folder, 'manifest.json'));
  const manifest = JSON.parse(new TextDecoder().decode(bytes)) as Manifest;
  const files = new Map<string, Uint8Array>([['manifest.json', bytes]]);
  for (const { name } of manifest.files) files.set(name, await readBytes(join(folder, name)));
  return { files, manifest };
}

type Kind = (good: GoodArtifact, random: Random) => Omit<Mutant, 'kind'>;

const pick = <T>(random: Random, list: readonly T[]): T => list[random.int(list.length)]!;
const listed = ({ manifest }: GoodArtifact, random: Random) => pick(random, manifest.files).name;
const naming = (text: string) => new RegExp(text.replaceAll('.', '\\.'));
const raw = (name: string, bytes: Uint8Array) => ({
  files: new Map([[name, bytes]]),
  names: naming(name),
});

function weightsOf(good: GoodArtifact): Weights {
  const bytes = good.files.get(WEIGHTS)!;
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = new TextDecoder().decode(bytes.subarray(8, 8 + length));
  return { header: JSON.parse(header) as Header, data: bytes.slice(8 + length) };
}

function encode({ header, data }: Weights, claimed?: bigint): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, claimed ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

/** The changed file with a manifest that lists it as it is now. */
function fitting(good: GoodArtifact, name: string, bytes: Uint8Array, names: RegExp) {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const manifest = {
    ...good.manifest,
    files: good.manifest.files.map((file) =>
      file.name === name ? { name, bytes: bytes.length, sha256 } : file,
    ),
  };
  return { files: new Map([[name, bytes], manifestFile(manifest)]), names };
}

const manifestFile = (manifest: unknown): [string, Uint8Array] => [
  'manifest.json',
  new TextEncoder().encode(JSON.stringify(manifest)),
];

/** Changes one tensor's entry in the header of the weights. */
function editHeader(
  good: GoodArtifact,
  random: Random,
  edit: (entry: Header[string], header: Header, name: string) => void,
) {
  const weights = weightsOf(good);
  const tensors = Object.keys(weights.header).filter((name) => name !== '__metadata__');
  const name = pick(random, tensors);
  edit(weights.header[name]!, weights.header, name);
  return fitting(good, WEIGHTS, encode(weights), /weights|tensor/);
}

const setManifest = (good: GoodArtifact, changes: Record<string, unknown>, names: RegExp) => ({
  files: new Map([manifestFile({ ...good.manifest, ...changes })]),
  names,
});

const KINDS: Record<string, Kind> = {
  'bit flip': (good, random) => {
    const name = listed(good, random);
    const bytes = Uint8Array.from(good.files.get(name)!);
    bytes[random.int(bytes.length)]! ^= 1 << random.int(8);
    return raw(name, bytes);
  },
  'cut at a page': (good, random) => {
    const name = listed(good, random);
    const bytes = good.files.get(name)!;
    return raw(name, bytes.slice(0, PAGE * random.int(Math.ceil(bytes.length / PAGE))));
  },
  'bytes behind the end': (good, random) => {
    const name = listed(good, random);
    const bytes = good.files.get(name)!;
    const longer = new Uint8Array(bytes.length + 1 + random.int(PAGE));
    longer.set(bytes);
    return raw(name, longer);
  },
  'another file by this name': (good, random) => {
    const starts = [
      [128, 4, 149],
      [80, 75, 3, 4],
      [31, 139, 8],
      [137, 72, 68, 70],
    ];
    const bytes = new Uint8Array(64 + random.int(PAGE));
    bytes.set(pick(random, starts));
    return fitting(good, WEIGHTS, bytes, /weights/);
  },
  'a header length that lies': (good, random) => {
    const lengths = [0n, 1n, 7n, 2n ** 31n, 2n ** 32n + 5n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
    const bytes = encode(weightsOf(good), pick(random, lengths));
    return fitting(good, WEIGHTS, bytes, /weights.*byte|weights/);
  },
  'an offset outside': (good, random) =>
    editHeader(good, random, (entry) => {
      entry.data_offsets[random.int(2)] = pick(random, [-4, 2 ** 31, 2 ** 40, 2 ** 53]);
    }),
  'offsets that overlap': (good, random) =>
    editHeader(good, random, (entry) => {
      const shift = 4 * (1 + random.int(4));
      const [from, to] = entry.data_offsets;
      entry.data_offsets = from >= shift ? [from - shift, to - shift] : [from + shift, to + shift];
    }),
  'another type of number': (good, random) =>
    editHeader(good, random, (entry) => {
      entry.dtype = pick(random, ['F64', 'I32', 'BOOL', 'F8_E4M3', 'X', '']);
    }),
  'another shape': (good, random) =>
    editHeader(good, random, (entry) => {
      entry.shape = pick(random, [
        [],
        [0],
        [-1],
        [2 ** 40],
        [...entry.shape, 2],
        [2 ** 31, 2 ** 31],
        [1.5],
      ]);
    }),
  'a tensor less': (good, random) =>
    editHeader(good, random, (_entry, header, name) => delete header[name]),
  'a tensor more': (good, random) =>
    editHeader(good, random, (entry, header) => (header[`more-${random.int(9)}`] = entry)),
  'a number that is none': (good, random) => {
    const weights = weightsOf(good);
    const [name, entry] = pick(
      random,
      Object.entries(weights.header).filter(([tensor]) => tensor !== '__metadata__'),
    );
    const [from, to] = entry.data_offsets;
    const view = new DataView(weights.data.buffer);
    const at = from + 4 * random.int((to - from) / 4);
    view.setFloat32(at, pick(random, [NaN, Infinity, -Infinity]), true);
    return fitting(good, WEIGHTS, encode(weights), naming(name));
  },
  'ids that do not fit': (good, random) => {
    const text = new TextDecoder().decode(good.files.get('items.json')!);
    const ids = JSON.parse(text) as unknown[];
    const at = random.int(ids.length - 1);
    const changes: (() => void)[] = [
      () => ids.splice(at, 1),
      () => ids.splice(at, 0, 'one more'),
      () => (ids[at] = ids[at + 1]),
      () => (ids[at] = 7),
      () => (ids[at] = ''),
      () => (ids[at] = 'a\u0000'),
      () => (ids[at] = null),
    ];
    pick(random, changes)();
    const bytes = new TextEncoder().encode(JSON.stringify(ids));
    return fitting(good, 'items.json', bytes, /items\.json/);
  },
  'a manifest that contradicts': (good, random) => {
    const { config } = good.manifest;
    const changes: Record<string, unknown>[] = [
      { formatVersion: random.int(1_000) + 2 },
      { version: '../escape' },
      { itemIdsSha256: '0'.repeat(64) },
      { lambdaMax: 0.001 },
      { replayEvents: 1 },
      { files: [] },
      { config: { ...config, blocks: config.blocks + 1 } },
      { config: { ...config, sizes: [1, 2, 3] } },
      { config: { ...config, numItems: 2 ** 31 - 1 } },
      { config: { ...config, featureWidth: 2 ** 31 - 1 } },
      { surprise: true },
    ];
    return setManifest(good, pick(random, changes), /manifest|tensor|items\.json|weights/);
  },
};

/** `count` mutants, kind after kind. */
export function* mutantsOf(good: GoodArtifact, count: number, random: Random): Generator<Mutant> {
  const kinds = Object.entries(KINDS);
  for (let n = 0; n < count; n++) {
    const [kind, make] = kinds[n % kinds.length]!;
    yield { kind, ...make(good, random) };
  }
}
