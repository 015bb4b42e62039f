/**
 * `npm run services:up [-- --kafka 3.9.1]`: PostgreSQL and Kafka for hand use, after installing what is missing.
 *
 * The work is done by tests/helpers/services-up.ts in a process of its own, which hears of Ctrl-C from here
 * alone, and ends when this process is gone.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { prepare, rootFolder } from './bootstrap.mjs';

await prepare({ build: false });
const program = fileURLToPath(new URL('../tests/helpers/services-up.ts', import.meta.url));
const child = spawn(
  process.execPath,
  [
    '--conditions=@nestrec/source',
    '--import',
    import.meta.resolve('tsx'),
    program,
    ...process.argv.slice(2),
  ],
  { cwd: rootFolder, stdio: ['ignore', 'inherit', 'inherit', 'ipc'], detached: true },
);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => child.kill(signal));
}
child.on('exit', (code) => process.exit(code ?? 1));
