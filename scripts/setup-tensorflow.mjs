/**
 * `npm run setup:tensorflow [-- --gpu]`: the backends tensorflow and tensorflow-gpu, from PyPI's wheel.
 *
 * Fetches libtensorflow into .cache/tensorflow, compiles tfjs-node's binding against it, links it into
 * node_modules and loads it once. Each step is skipped where its result stands; it may be killed at any moment.
 * Wants pip, a C++ compiler and an index of Python packages; none of them is used at run time.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { prepare, rootFolder } from './bootstrap.mjs';

const startedMs = Date.now();
const say = (text) => process.stderr.write(`tensorflow: ${text}\n`);

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** A new folder in the cache, named by this process; those of killed ones go. */
function makeTemporary(cacheFolder) {
  mkdirSync(cacheFolder, { recursive: true });
  for (const name of readdirSync(cacheFolder)) {
    const pid = /^tmp-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !alive(Number(pid))) {
      rmSync(join(cacheFolder, name), { recursive: true, force: true });
    }
  }
  return mkdtempSync(join(cacheFolder, `tmp-${process.pid}-`));
}

/** Loads the binding in a process of its own; says what it runs on. */
function check() {
  const program = `
    const util = require('node:util');
    util.isNullOrUndefined ??= (value) => value == null;
    const tf = require('@tensorflow/tfjs-node-gpu');
    const sum = tf.tidy(() => tf.sum(tf.matMul(tf.ones([8, 8]), tf.ones([8, 8]))).dataSync()[0]);
    const { binding, isUsingGpuDevice } = tf.backend();
    console.log(JSON.stringify({ sum, isUsingGpuDevice, version: binding.TF_Version }));`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', program], {
    cwd: rootFolder,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the binding does not load:\n${stderr.trim().slice(-2_000)}`);
  const { sum, isUsingGpuDevice, version } = JSON.parse(stdout.trim().split('\n').at(-1));
  if (sum !== 512) throw new Error(`the binding computes wrongly: got ${sum}, wanted 512`);
  return { isUsingGpuDevice, version };
}

async function setUp({ gpu }) {
  // Imported here, once the dependencies stand.
  const { checkMachine, fetchLibrary } = await import('./tensorflow/fetch-library.mjs');
  const { buildBinding } = await import('./tensorflow/build-binding.mjs');
  const { linkBinding } = await import('./tensorflow/link.mjs');
  const { bindingPath, cacheFolder, libraryFolder } = await import('./tensorflow/layout.mjs');
  const flavour = gpu ? 'gpu' : 'cpu';
  checkMachine(flavour);
  const temporary = makeTemporary(cacheFolder);
  try {
    if (!existsSync(libraryFolder(flavour))) await fetchLibrary(flavour, temporary, say);
    buildBinding(flavour, temporary);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  linkBinding(bindingPath(flavour), { replace: true });
  const { isUsingGpuDevice, version } = check();
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
  const device = isUsingGpuDevice ? 'a GPU' : 'the CPU';
  say(`TensorFlow ${version} is ready and runs on ${device} (${seconds} s)`);
  if (gpu && !isUsingGpuDevice) {
    say(
      'no GPU was found: backend tensorflow-gpu will be refused, tensorflow uses this library on the CPU. nvidia-smi says whether the driver is there.',
    );
  }
}

try {
  const { values } = parseArgs({
    options: { gpu: { type: 'boolean', default: false } },
  });
  prepare({ build: false });
  await setUp(values);
} catch (error) {
  say(error.message);
  process.exit(1);
}
