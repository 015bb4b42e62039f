/** The process `nestrec`: hands the command line and the environment over, and nothing else. */
import { existsSync } from 'node:fs';
import { runCli } from './program.js';

// Variables that are set already win over the file.
if (existsSync('.env')) process.loadEnvFile('.env');

process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  streams: { stdout: process.stdout, stderr: process.stderr },
});
