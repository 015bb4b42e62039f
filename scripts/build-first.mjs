/**
 * Builds, then runs a TypeScript program of the tests from source, and says to it that what was built is current:
 *
 *   node scripts/build-first.mjs tests/chaos/run.ts --ci
 *
 * Threads and processes that it starts run what was built (decision 0033).
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { rootFolder } from './bootstrap.mjs';

const node = (args, env = process.env) =>
  spawnSync(process.execPath, args, { cwd: rootFolder, stdio: 'inherit', env }).status ?? 1;

const compiler = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
const built = node([compiler, '-b']);
if (built !== 0) process.exit(built);
process.exit(
  node(['--conditions=@nestrec/source', '--import', 'tsx', ...process.argv.slice(2)], {
    ...process.env,
    NESTREC_CHILDREN: 'dist',
  }),
);
