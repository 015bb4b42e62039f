/**
 * What of TensorFlow lies where: the versions, the cache `.cache/tensorflow/` and the places in node_modules
 * that tfjs-node loads from.
 *
 *   .cache/tensorflow/cpu-2.21.0-x64/tensorflow/             the two libraries of the wheel
 *                                    include/                the headers that the binding includes
 *                                    nvidia/                 CUDA, for a gpu library only
 *                                    binding-<key>/          tfjs_binding.node, compiled against them, and
 *                                                            the defaults that it loads first
 *
 * The libraries look for CUDA in ../nvidia, as they lie in Python's site-packages. A folder appears there whole
 * (written aside, then renamed), so whatever stands is complete. Depends on Node alone: the bootstrap uses it.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const TENSORFLOW_VERSION = '2.21.0';
export const LIBRARIES = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];

const root = fileURLToPath(new URL('../../', import.meta.url));
export const modulesFolder = join(root, 'node_modules');
export const cacheFolder = join(root, '.cache', 'tensorflow');
/** Our own part of the binding. */
export const defaultsSource = fileURLToPath(new URL('tensorflow-defaults.cc', import.meta.url));

/** The N-API version that tfjs-node asks for by the folder's name; every Node from 16 on has it. */
export const NAPI_VERSION = 8;
export const DEFAULTS_LIBRARY = 'libtensorflow_defaults.so';
const SHARED_FLAGS = ['-std=c++17', '-O2', '-fPIC', '-shared', '-w', '-Wl,--no-as-needed'];
/** What the compiler is told for the two parts of the binding; part of its key. */
export const DEFAULTS_FLAGS = [
  ...SHARED_FLAGS,
  ...['-Wl,-z,initfirst', `-Wl,-soname,${DEFAULTS_LIBRARY}`, '-Wl,-rpath,$ORIGIN/../tensorflow'],
];
export const BINDING_FLAGS = [
  ...[...SHARED_FLAGS, '-fvisibility=hidden', '-Wl,-rpath,$ORIGIN:$ORIGIN/../tensorflow'],
  ...[`-DNAPI_VERSION=${NAPI_VERSION}`, '-DNODE_GYP_MODULE_NAME=tfjs_binding'],
];

export const PACKAGES = ['@tensorflow/tfjs-node', '@tensorflow/tfjs-node-gpu'];
export const bindingSources = join(modulesFolder, PACKAGES[0], 'binding');

/** Where a package of tfjs-node looks for its binding. */
export const linkPath = (name) =>
  join(modulesFolder, name, 'lib', `napi-v${NAPI_VERSION}`, 'tfjs_binding.node');

/** The folder of one library; `flavour` is cpu or gpu. */
export const libraryFolder = (flavour) =>
  join(cacheFolder, `${flavour}-${TENSORFLOW_VERSION}-${process.arch}`);

/** The compiled binding of one library, named by all that went into it. */
export function bindingPath(flavour) {
  const hash = createHash('sha256').update(JSON.stringify([DEFAULTS_FLAGS, BINDING_FLAGS]));
  for (const name of readdirSync(bindingSources).sort()) {
    hash.update(name).update(readFileSync(join(bindingSources, name)));
  }
  hash.update(readFileSync(defaultsSource));
  const key = hash.digest('hex').slice(0, 12);
  return join(libraryFolder(flavour), `binding-${key}`, 'tfjs_binding.node');
}

/** The binding that is ready for use, or null. A gpu library serves the CPU too, so it comes first. */
export function readyBinding() {
  if (!existsSync(cacheFolder) || !existsSync(bindingSources)) return null;
  for (const flavour of ['gpu', 'cpu']) {
    const path = bindingPath(flavour);
    if (existsSync(path)) return { flavour, path };
  }
  return null;
}
