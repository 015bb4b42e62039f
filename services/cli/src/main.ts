/** The process `nestrec`: hands the command line and the environment over, and nothing else. */
import { runCli } from './program.js';

// Whoever reads our output may leave early (`nestrec keys list | head -1`); that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 74);
});

process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  envFile: '.env',
  streams: { stdout: process.stdout, stderr: process.stderr },
});
