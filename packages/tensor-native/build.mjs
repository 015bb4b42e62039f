/**
 * Compiles the addon with gcc or clang (about a second): every operation once per instruction set, one file to load.
 * Depends on Node and node-api-headers alone. Skipped while sources and compiler are those of the last build; may be
 * killed at any moment.
 *
 * Run: node packages/tensor-native/build.mjs [--sanitize]      CC names the compiler; default: cc, gcc or clang
 *
 * `--sanitize` builds with AddressSanitizer into a file of its own, for `npm run test:sanitize`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const sources = join(here, 'native');
const output = join(here, 'build');

/** Flags of each target; the best one that the processor has is chosen when the addon is loaded. */
const TARGETS = {
  x64: {
    avx512: ['-mavx512f', '-mavx512dq', '-mavx512vl', '-mavx512bw', '-mavx2', '-mfma'],
    avx2: ['-mavx2', '-mfma'],
    base: [],
  },
  arm64: { base: [] },
}[process.arch];

function findCompiler() {
  const named = process.env.CC ? [process.env.CC] : ['cc', 'gcc', 'clang'];
  for (const name of named) {
    const { status, stdout } = spawnSync(name, ['--version'], { encoding: 'utf8' });
    if (status === 0) return { name, version: stdout.split('\n', 1)[0] };
  }
  return null;
}

function headers() {
  try {
    return createRequire(import.meta.url)('node-api-headers').include_dir;
  } catch {
    return null;
  }
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (data) => (errors += data));
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve() : reject(new Error(errors.trim().split('\n').slice(0, 8).join('\n'))),
    );
  });
}

function stampOf(compiler, flags) {
  const hash = createHash('sha256').update(
    JSON.stringify([compiler, flags, TARGETS, process.platform]),
  );
  for (const name of readdirSync(sources).sort()) hash.update(readFileSync(join(sources, name)));
  return hash.digest('hex');
}

async function compile(compiler, include, flags, file) {
  mkdirSync(output, { recursive: true });
  const work = mkdtempSync(join(output, 'work-'));
  try {
    const common = ['-std=gnu11', '-fPIC', '-fvisibility=hidden', '-pthread', ...flags];
    const units = [
      ['pool', ['-c', join(sources, 'pool.c')]],
      ...['addon', 'calls-rows', 'calls-tables'].map((name) => [
        name,
        ['-c', join(sources, `${name}.c`), `-I${include}`],
      ]),
      ...Object.entries(TARGETS).map(([name, own]) => [
        name,
        ['-c', join(sources, 'target.c'), `-DNESTREC_TARGET=${name}`, ...own],
      ]),
    ];
    const object = (name) => join(work, `${name}.o`);
    await Promise.all(
      units.map(([name, args]) => run(compiler.name, [...common, ...args, '-o', object(name)])),
    );
    const shared =
      process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared'];
    const made = join(work, 'made.node');
    await run(compiler.name, [
      ...shared,
      '-pthread',
      ...flags,
      ...units.map(([name]) => object(name)),
      '-lm',
      ...(process.platform === 'linux' ? ['-ldl'] : []),
      '-o',
      made,
    ]);
    renameSync(made, file);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * Builds what is missing or old.
 * @returns {Promise<{ state: 'current' | 'built' | 'unavailable', detail: string, file?: string, compiler?: string }>}
 */
export async function buildNative({ sanitize = false } = {}) {
  const name = `tensor-native-${process.platform}-${process.arch}${sanitize ? '-asan' : ''}`;
  const file = join(output, `${name}.node`);
  const unavailable = (detail) => ({ state: 'unavailable', detail });
  if (TARGETS === undefined || process.platform === 'win32') {
    return unavailable(
      `no targets for ${process.platform} on ${process.arch}; wanted Linux or macOS on x64 or arm64`,
    );
  }
  const compiler = findCompiler();
  if (compiler === null)
    return unavailable('no C compiler: install gcc or clang, or name one in CC');
  const include = headers();
  if (include === null) return unavailable('node-api-headers is missing: run npm ci');
  const flags = sanitize ? ['-O1', '-g', '-fsanitize=address', '-fno-omit-frame-pointer'] : ['-O3'];
  const stamp = stampOf(compiler, flags);
  const stampFile = join(output, `${name}.stamp`);
  if (existsSync(file) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) {
    return { state: 'current', detail: compiler.version, file, compiler: compiler.name };
  }
  const startedMs = Date.now();
  try {
    await compile(compiler, include, flags, file);
  } catch (error) {
    return unavailable(`${compiler.version} failed: ${error.message}`);
  }
  writeFileSync(stampFile, stamp);
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
  const detail = `${compiler.version}, ${seconds} s`;
  return { state: 'built', detail, file, compiler: compiler.name };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { state, detail } = await buildNative({ sanitize: process.argv.includes('--sanitize') });
  process.stderr.write(`native operations: ${state} (${detail})\n`);
  process.exitCode = state === 'unavailable' ? 1 : 0;
}
