/**
 * The TensorFlow.js backends that nestrec knows, in the order of preference where nothing was measured.
 *
 * A new backend is one entry here. An entry says cheaply whether its files stand here, and loads it on demand;
 * the packages of native ones are optional. Reads no environment, measures nothing.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { guardHeap, type WasmModule } from './wasm-heap.js';
import { findNativeOperations, NATIVE_CURE } from '@nestrec/tensor-native';

export interface Standing {
  /** Changes with whatever could change the backend's speed here. */
  readonly stamp: string;
}

export interface Missing {
  readonly reason: string;
  /** The command that brings it; null where nothing would on this machine. */
  readonly cure: string | null;
}

interface BackendEntry {
  readonly name: string;
  /** Looks for its files, without loading them. */
  find(): Standing | Missing;
  /** Loads and activates it. @throws Error that says why not */
  load(): Promise<void>;
}

const require = createRequire(import.meta.url);

/** Runs `work` with console and stderr held back, and gives both back whatever happens. */
async function quietly<T>(work: () => Promise<T>): Promise<T> {
  const { log, warn, error, info } = console;
  const write = process.stderr.write.bind(process.stderr);
  Object.assign(console, { log() {}, warn() {}, error() {}, info() {} });
  process.stderr.write = () => true;
  try {
    return await work();
  } finally {
    Object.assign(console, { log, warn, error, info });
    process.stderr.write = write;
  }
}

async function activate(name: string): Promise<void> {
  if (!(await tf.setBackend(name))) throw new Error(`TensorFlow.js refused backend ${name}`);
  await tf.ready();
}

const SETUP = 'npm run setup:tensorflow';
const SETUP_GPU = `${SETUP} -- --gpu`;

/** Where Linux shows an NVIDIA driver: its own device, or Windows' under WSL. Elsewhere one may always be there. */
const mayHaveGpu = () =>
  process.platform !== 'linux' || ['/dev/nvidiactl', '/dev/dxg'].some((path) => existsSync(path));

/** The native library of a package of tfjs-node: `npm run setup:tensorflow` or its own installer put it there. */
function findBinding(packageName: string, cure: string): Standing | Missing {
  let manifest: string;
  try {
    manifest = require.resolve(`${packageName}/package.json`);
  } catch {
    return { reason: `${packageName} is not installed`, cure: `npm ci, then ${cure}` };
  }
  const lib = join(dirname(manifest), 'lib');
  const folders = existsSync(lib) ? readdirSync(lib) : [];
  for (const folder of folders) {
    const binding = statSync(join(lib, folder, 'tfjs_binding.node'), { throwIfNoEntry: false });
    if (binding !== undefined) return { stamp: `${binding.size} ${binding.mtimeMs}` };
  }
  return { reason: `the native library of ${packageName} is not set up`, cure };
}

async function loadTensorflow(packageName: string, cure: string): Promise<void> {
  const found = findBinding(packageName, cure);
  if ('reason' in found) throw new Error(found.reason);
  // tfjs-node calls both; Node 23 took the first away and warns at the second.
  Object.assign(util, {
    isNullOrUndefined: (value: unknown) => value === null || value === undefined,
    isArray: (value: unknown) => Array.isArray(value),
  });
  await quietly(async () => {
    // Both packages register the same backend, the second of them in vain. A computed name: they are
    // optional, and no bundler or type check should need them.
    if (tf.findBackend('tensorflow') === null) await import(packageName);
    await activate('tensorflow');
  });
}

async function loadTensorflowGpu(): Promise<void> {
  await loadTensorflow('@tensorflow/tfjs-node-gpu', SETUP_GPU);
  const { isUsingGpuDevice } = tf.backend() as { isUsingGpuDevice?: boolean };
  if (isUsingGpuDevice !== true) {
    throw new Error('its library finds no GPU and would silently compute on the CPU');
  }
}

/** The C operations of @nestrec/tensor-native. */
function findNative(): Standing | Missing {
  const file = findNativeOperations();
  if (file === null) return { reason: 'its operations are not compiled', cure: NATIVE_CURE };
  const { size, mtimeMs } = statSync(file);
  return { stamp: `${size} ${mtimeMs}` };
}

async function loadNative(): Promise<void> {
  const { registerNative } = await quietly(() => import('./native/native-backend.js'));
  registerNative();
  await activate('native');
  // The kernels that it takes over print an advertisement with their first tensor.
  await quietly(() => Promise.resolve(tf.scalar(0).dispose()));
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
  // The whole of TensorFlow.js, which tfjs-node loads, has registered it already, and would warn.
  await quietly(() => import('@tensorflow/tfjs-backend-cpu'));
  await activate('cpu');
  // Its first tensor prints an advertisement.
  await quietly(() => Promise.resolve(tf.scalar(0).dispose()));
}

/** What npm ci brings; its version is that of TensorFlow.js. */
const installed = (): Standing => ({ stamp: tf.version_core });

const ENTRIES = [
  {
    name: 'tensorflow-gpu',
    find: () =>
      mayHaveGpu()
        ? findBinding('@tensorflow/tfjs-node-gpu', SETUP_GPU)
        : { reason: 'this machine shows no NVIDIA driver', cure: null },
    load: loadTensorflowGpu,
  },
  {
    name: 'native',
    find: findNative,
    load: loadNative,
  },
  {
    name: 'tensorflow',
    find: () => findBinding('@tensorflow/tfjs-node', SETUP),
    load: () => loadTensorflow('@tensorflow/tfjs-node', SETUP),
  },
  { name: 'wasm', find: installed, load: loadWasm },
  { name: 'cpu', find: installed, load: loadCpu },
] as const satisfies readonly BackendEntry[];

export type BackendName = (typeof ENTRIES)[number]['name'];
export const BACKENDS: readonly BackendName[] = ENTRIES.map((entry) => entry.name);
/** Runs everywhere and is slower than any other: chosen only where nothing else loads. */
export const LAST_RESORT: BackendName = 'cpu';

/** Name under which TensorFlow.js knows the backend at work: `tensorflow` stands for both native ones. */
export function activeBackend(): string {
  return tf.getBackend();
}

export function isBackendName(name: string): name is BackendName {
  return (BACKENDS as readonly string[]).includes(name);
}

const entryOf = (name: BackendName): BackendEntry => ENTRIES.find((entry) => entry.name === name)!;

/** Whether a backend's files stand here; that it loads is another matter. */
export const findBackend = (name: BackendName): Standing | Missing => entryOf(name).find();

/** Loads and activates a backend. @throws Error that says why not */
export const loadBackend = (name: BackendName): Promise<void> => entryOf(name).load();

/** What a user may do where a backend is missing or does not load; null where nothing helps on this machine. */
export function cureOf(name: BackendName): string | null {
  const found = findBackend(name);
  if ('cure' in found) return found.cure;
  if (name === 'tensorflow-gpu') return SETUP_GPU;
  if (name === 'native') return NATIVE_CURE;
  return name === 'tensorflow' ? SETUP : 'npm ci';
}
