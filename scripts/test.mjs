/**
 * `npm test`: installs and builds what is missing, then runs every test project.
 * What tests start in threads and processes of their own runs what was built (decision 0033).
 *
 * Arguments go to vitest: `npm test -- --project unit`, `npm test -- packages/model`.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { prepare, rootFolder } from './bootstrap.mjs';

delete process.env.NESTREC_CHILDREN;
await prepare({ build: true });
const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url));
const result = spawnSync(process.execPath, [vitest, 'run', ...process.argv.slice(2)], {
  cwd: rootFolder,
  stdio: 'inherit',
  env: { ...process.env, NESTREC_CHILDREN: 'dist' },
});
process.exit(result.status ?? 1);
