/**
 * `npm run test:sanitize`: the suites that reach the native operations, on a build under AddressSanitizer, so that a read
 * or write beside an array ends the run. Linux with gcc or clang; takes some minutes.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { buildNative } from '../packages/tensor-native/build.mjs';
import { rootFolder } from './bootstrap.mjs';

const { state, detail, file, compiler } = await buildNative({ sanitize: true });
if (state === 'unavailable') {
  process.stderr.write(`nestrec: the sanitized addon is not built: ${detail}\n`);
  process.exit(1);
}
const library = spawnSync(compiler, ['-print-file-name=libasan.so'], { encoding: 'utf8' });
const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url));
const suites = ['packages/tensor-native/', 'packages/tensor/', 'packages/model/'];
// The choice of a backend has others to choose from.
const EXCEPT = ['--exclude', 'packages/tensor/src/backend.test.ts'];
const result = spawnSync(
  process.execPath,
  [
    vitest,
    'run',
    '--project',
    'unit',
    ...suites,
    '--testTimeout=600000',
    ...EXCEPT,
    ...process.argv.slice(2),
  ],
  {
    cwd: rootFolder,
    stdio: 'inherit',
    env: {
      ...process.env,
      NESTREC_NATIVE_ADDON: file,
      LD_PRELOAD: library.stdout.trim(),
      // Node itself leaves memory to the end of the process.
      ASAN_OPTIONS: 'detect_leaks=0:halt_on_error=1',
    },
  },
);
process.exit(result.status ?? 1);
