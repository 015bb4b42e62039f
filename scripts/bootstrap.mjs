/**
 * Brings a clone to the point where its commands run: Node's version, dependencies, tensorflow's link, build.
 *
 * Depends on Node alone, since it runs before anything is installed. Each step is skipped when its result
 * stands already, and may be killed at any moment: a half-done step is done again.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { relinkTensorflow } from './tensorflow/link.mjs';

const MINIMUM_NODE = [20, 19];
const root = new URL('../', import.meta.url);
const path = (name) => fileURLToPath(new URL(name, root));
export const rootFolder = fileURLToPath(root);

const say = (text) => process.stderr.write(`${text}\n`);

function fail(text) {
  say(`nestrec: ${text}`);
  process.exit(1);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor < MINIMUM_NODE[1])) {
    fail(
      `got Node ${process.versions.node}, wanted ${MINIMUM_NODE.join('.')} or newer; install it and try again.`,
    );
  }
}

function run(what, command, args) {
  const startedMs = Date.now();
  say(`${what} ...`);
  const result = spawnSync(command, args, {
    cwd: rootFolder,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32' && command === 'npm',
  });
  if (result.status !== 0) {
    fail(
      `${what} failed (${command} ${args.join(' ')} ended with ${result.status ?? result.signal}); the lines above say why.`,
    );
  }
  say(`${what}: done in ${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
}

/** Installs what package-lock.json says, unless that very lockfile is what stands in node_modules. */
function ensureDependencies() {
  const lockfile = path('package-lock.json');
  const stamp = path('node_modules/.nestrec-lockfile');
  const wanted = createHash('sha256').update(readFileSync(lockfile)).digest('hex');
  const got = existsSync(stamp) ? readFileSync(stamp, 'utf8') : null;
  if (got === wanted) return;
  // npm writes this file last; newer than the lockfile, it says that somebody installed by hand.
  const installed = path('node_modules/.package-lock.json');
  const byHand = existsSync(installed) && statSync(installed).mtimeMs >= statSync(lockfile).mtimeMs;
  if (!byHand) {
    run('Installing dependencies', 'npm', [
      'ci',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
    ]);
  }
  writeFileSync(stamp, wanted);
}

/**
 * Compiles the native operations where a compiler is; training takes another backend where none is. Silent when what
 * stands is current.
 */
async function ensureNative() {
  const { buildNative } = await import('../packages/tensor-native/build.mjs');
  const { state, detail } = await buildNative();
  if (state === 'built') say(`Native operations: built with ${detail}`);
  if (state === 'unavailable') {
    say(`Native operations: not built (${detail}); training runs without them, some times slower`);
  }
}

/** Compiles what changed since the last build (a second when nothing did). */
function ensureBuild() {
  const first = !existsSync(path('services/cli/dist/main.js'));
  const args = [path('node_modules/typescript/bin/tsc'), '-b', path('services/cli')];
  if (first) return run('Building', process.execPath, args);
  const result = spawnSync(process.execPath, args, { cwd: rootFolder, stdio: ['ignore', 2, 2] });
  if (result.status !== 0) fail('the build failed; the lines above say why.');
}

/** Puts what `npm run setup:tensorflow` made back where `npm ci` took it away. */
function ensureTensorflow() {
  try {
    const line = relinkTensorflow();
    if (line !== null) say(line);
  } catch (error) {
    // Other backends serve as well.
    say(
      `tensorflow: could not be linked from its cache (${error.message}); npm run setup:tensorflow`,
    );
  }
}

export async function prepare({ build }) {
  checkNode();
  ensureDependencies();
  ensureTensorflow();
  await ensureNative();
  // A runner that has just built says so to what it starts (decision 0033).
  if (build && process.env.NESTREC_CHILDREN !== 'dist') ensureBuild();
}
