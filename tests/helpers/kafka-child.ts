/** Starts a broker, says its process id and waits to be killed: the owner in tests of what is left behind. */
import { kafkaVersion } from './kafka-binaries.js';
import { startKafka } from './kafka-server.js';

const server = await startKafka({ version: kafkaVersion(process.argv[2]) });
console.log(`pid ${server.pid()}`);
setInterval(() => {}, 60_000);
