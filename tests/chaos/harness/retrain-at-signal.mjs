/**
 * `nestrec` as built, loaded and then begun by SIGUSR2, so that the start of a process does not blur the instant.
 * Arguments are those of nestrec.
 */
import { clearInterval, setInterval } from 'node:timers';
import { runCli } from '../../../services/cli/dist/program.js';

process.once('SIGUSR2', () => {
  void runCli(process.argv.slice(2), {
    env: process.env,
    streams: { stdout: process.stdout, stderr: process.stderr },
  }).then((code) => {
    process.exitCode = code;
    clearInterval(alive);
  });
});
const alive = setInterval(() => undefined, 60_000);
process.stderr.write('loaded\n');
