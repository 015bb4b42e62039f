/**
 * `npm start`: installs and builds what is missing, then runs the main job on the embedded database:
 * a generated shop, training, publishing, and the API with a personalised answer.
 */
import { prepare } from './bootstrap.mjs';

await prepare({ build: true });
process.argv.splice(2, 0, 'demo');
await import('../services/cli/dist/main.js');
