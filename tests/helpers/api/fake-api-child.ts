/** The API over stand-ins in a process of its own, whose time and memory a test reads; prints its address. */
import { startApi } from './harness.js';

const api = await startApi();
process.stdout.write(`ready ${api.url} ${api.world.key()}\n`);
process.once('SIGTERM', () => void api.stop().then(() => process.exit(0)));
