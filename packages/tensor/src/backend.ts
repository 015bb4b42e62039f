/**
 * Chooses the TensorFlow.js backend: the only place that does. In order of speed: `tensorflow-gpu` and
 * `tensorflow` (native libraries, optional), `wasm`, `cpu`.
 *
 * Loads the native packages with their console noise held back: that they are missing is normal. Reads no
 * environment; the caller passes what its settings force.
 */
import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { BackendUnavailable, excerpt } from '@nestrec/errors';
import { guardHeap, type WasmModule } from './wasm-heap.js';

export const BACKENDS = ['tensorflow-gpu', 'tensorflow', 'wasm', 'cpu'] as const;
export type BackendName = (typeof BACKENDS)[number];

export interface BackendReport {
  readonly name: BackendName;
  /** Why this one. */
  readonly reason: string;
  /** What would be faster here, and how to get it; null where nothing would. */
  readonly faster: string | null;
  /** All of it in one line, for the log. */
  readonly line: string;
}

export interface BackendOptions {
  /** Take this one or fail. */
  readonly force?: BackendName | undefined;
}

const require = createRequire(import.meta.url);
const NATIVE_PACKAGES = {
  'tensorflow-gpu': '@tensorflow/tfjs-node-gpu',
  tensorflow: '@tensorflow/tfjs-node',
} as const;

/** Runs `load` with console and stderr held back, and gives both back whatever happens. */
async function quietly<T>(load: () => Promise<T>): Promise<T> {
  const { log, warn, error, info } = console;
  const write = process.stderr.write.bind(process.stderr);
  Object.assign(console, { log() {}, warn() {}, error() {}, info() {} });
  process.stderr.write = () => true;
  try {
    return await load();
  } finally {
    Object.assign(console, { log, warn, error, info });
    process.stderr.write = write;
  }
}

/** Name under which TensorFlow.js knows the backend at work: `tensorflow` stands for both native ones. */
export function activeBackend(): string {
  return tf.getBackend();
}

async function activate(name: string): Promise<void> {
  if (!(await tf.setBackend(name))) throw new Error(`TensorFlow.js refused backend ${name}`);
  await tf.ready();
}

async function loadNative(name: 'tensorflow-gpu' | 'tensorflow'): Promise<void> {
  // A computed name: the packages are optional, and no bundler or type check should need them.
  await quietly(async () => {
    await import(NATIVE_PACKAGES[name]);
    await activate('tensorflow');
  });
}

async function loadWasm(): Promise<void> {
  const wasm = await import('@tensorflow/tfjs-backend-wasm');
  const manifest = require.resolve('@tensorflow/tfjs-backend-wasm/package.json');
  if (tf.findBackend('wasm') === null) {
    wasm.setWasmPaths(`${dirname(manifest)}${sep}wasm-out${sep}`);
  }
  await activate('wasm');
  guardHeap((tf.backend() as unknown as { wasm: WasmModule }).wasm);
}

async function loadCpu(): Promise<void> {
  await import('@tensorflow/tfjs-backend-cpu');
  await activate('cpu');
  // Its first tensor prints an advertisement.
  await quietly(() => Promise.resolve(tf.scalar(0).dispose()));
}

function load(name: BackendName): Promise<void> {
  if (name === 'wasm') return loadWasm();
  if (name === 'cpu') return loadCpu();
  return loadNative(name);
}

/** First line of what went wrong, without a stack. */
function cause(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return excerpt(text.split('\n', 1)[0]!.trim());
}

function fasterThan(name: BackendName): string | null {
  if (name === 'tensorflow-gpu') return null;
  if (name === 'tensorflow') return 'tensorflow-gpu (a CUDA GPU and @tensorflow/tfjs-node-gpu)';
  const native = 'tensorflow (@tensorflow/tfjs-node with its native library)';
  return name === 'wasm' ? native : `wasm, or ${native}`;
}

function report(name: BackendName, reason: string): BackendReport {
  const faster = fasterThan(name);
  const hint = faster === null ? '' : `; faster would be ${faster}`;
  return { name, reason, faster, line: `backend ${name}: ${reason}${hint}` };
}

/**
 * Activates the fastest backend that loads, or the forced one.
 *
 * @throws BackendUnavailable when the forced one, or none, loads.
 */
export async function selectBackend(options: BackendOptions = {}): Promise<BackendReport> {
  if (options.force !== undefined) return forced(options.force);
  const failures: string[] = [];
  for (const name of BACKENDS) {
    try {
      await load(name);
      const reason =
        failures.length === 0
          ? 'the fastest there is'
          : `the fastest that loads (not ${failures.join(', ')})`;
      return report(name, reason);
    } catch {
      failures.push(name);
    }
  }
  throw new BackendUnavailable({ detail: `none of ${BACKENDS.join(', ')} loads; run npm ci.` });
}

async function forced(name: BackendName): Promise<BackendReport> {
  if (!BACKENDS.includes(name)) {
    throw new BackendUnavailable({
      detail: `got ${excerpt(name)}; wanted one of ${BACKENDS.join(', ')}.`,
    });
  }
  try {
    await load(name);
  } catch (error) {
    throw new BackendUnavailable({
      detail: `${name} was forced and does not load: ${cause(error)}. Wanted one of ${BACKENDS.join(', ')}; unset NESTREC_BACKEND to take the fastest that loads.`,
      cause: error,
    });
  }
  return report(name, 'forced by the settings');
}
