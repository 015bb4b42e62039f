/** `npm run nestrec -- COMMAND`: the command line, after installing and building what is missing. */
import { prepare } from './bootstrap.mjs';

await prepare({ build: true });
await import('../services/cli/dist/main.js');
