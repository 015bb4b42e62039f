/** Starts a broker, says its process id and waits to be killed: the owner in tests of what is left behind. */
import { BRIEF_LIFE, startKafka } from './kafka-server.js';

const server = await startKafka({ javaOptions: BRIEF_LIFE });
console.log(`pid ${server.pid()}`);
setInterval(() => {}, 60_000);
