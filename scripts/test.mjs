/**
 * `npm test`: installs and builds what is missing, then runs every test project.
 *
 * Arguments go to vitest: `npm test -- --project unit`, `npm test -- packages/model`.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { prepare, rootFolder } from './bootstrap.mjs';

await prepare({ build: true });
const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url));
const result = spawnSync(process.execPath, [vitest, 'run', ...process.argv.slice(2)], {
  cwd: rootFolder,
  stdio: 'inherit',
});
process.exit(result.status ?? 1);
