/**
 * A seeded stream of random numbers (xoroshiro128+ of the pure-rand library).
 *
 * Its state is a plain array of integers, so that a checkpoint can carry it and a resumed run draws
 * what the killed one would have drawn. Not for secrets: use node:crypto for keys.
 */
import { xoroshiro128plus, xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';

export type RandomState = readonly number[];

export interface Random {
  /** Uniform in [0, 1), 32 bits of resolution. */
  uniform(): number;
  /** Uniform integer in [0, bound). */
  int(bound: number): number;
  /** Standard normal (Box-Muller; draws two uniforms each call, so the stream has no hidden half). */
  normal(): number;
  /** Fisher-Yates, in place; returns its argument. */
  shuffle<T extends { length: number; [index: number]: unknown }>(values: T): T;
  /** An independent stream, named so that adding a consumer does not shift the others. */
  fork(name: string): Random;
  state(): RandomState;
}

const TWO_32 = 2 ** 32;

/** FNV-1a over UTF-16 code units: turns a stream's name into 32 bits to seed it with. */
function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** The finaliser of MurmurHash3: every bit of the input reaches every bit of the output. */
function mix(value: number): number {
  let hash = value ^ (value >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

type Generator = ReturnType<typeof xoroshiro128plus>;

function wrap(generator: Generator): Random {
  const uniform = () => (generator.next() >>> 0) / TWO_32;
  const random: Random = {
    uniform,
    int: (bound) => Math.floor(uniform() * bound),
    normal: () => {
      const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
      return radius * Math.cos(2 * Math.PI * uniform());
    },
    shuffle: (values) => {
      for (let i = values.length - 1; i > 0; i--) {
        const j = random.int(i + 1);
        [values[i], values[j]] = [values[j], values[i]];
      }
      return values;
    },
    fork: (name) => createRandom(generator.getState().reduce((a, b) => mix(a ^ b), hashName(name))),
    state: () => [...generator.getState()],
  };
  return random;
}

/**
 * A stream for an integer seed; equal seeds give equal streams on every machine. The seed is mixed first,
 * since neighbouring seeds of this generator begin alike.
 */
export function createRandom(seed: number): Random {
  return wrap(xoroshiro128plus(mix(seed | 0)));
}

/** Continues the stream that `state()` was taken from. */
export function restoreRandom(state: RandomState): Random {
  return wrap(xoroshiro128plusFromState([...state]));
}
