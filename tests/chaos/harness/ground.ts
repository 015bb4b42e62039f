/**
 * The services that all runs stand on: one PostgreSQL server with durability on, one Kafka broker with a
 * second listener behind a proxy. Started once; a run that breaks them is followed by `heal`.
 */
import { createRandom } from '@nestrec/random';
import { startKafka, type KafkaServer } from '../../helpers/kafka-server.js';
import { endLeftovers } from '../../helpers/leftovers.js';
import { runRecords, startPostgres, type PostgresServer } from '../../helpers/postgres-server.js';
import { lastingPort } from '../../helpers/processes.js';
import { startProxy, type TcpProxy } from './proxy.js';

export interface Ground {
  readonly postgres: PostgresServer;
  readonly kafka: KafkaServer;
  /** Before the broker; what it advertises to its clients is the proxy again. */
  readonly kafkaProxy: TcpProxy;
  readonly proxiedBrokers: string;
  /** Everything up and unbroken again. */
  heal(): Promise<void>;
  stop(): Promise<void>;
}

export async function startGround(seed: number): Promise<Ground> {
  await endLeftovers(runRecords);
  const brokerPort = await lastingPort();
  const kafkaProxy = await startProxy(brokerPort, createRandom(seed).fork('kafka proxy'));
  const [postgres, kafka] = await Promise.all([
    startPostgres(),
    startKafka({
      proxied: { port: brokerPort, advertisedPort: kafkaProxy.port },
      properties: {
        // A killed consumer is given up after 3 s, not after the broker's least of 6 s.
        'group.min.session.timeout.ms': '1000',
      },
    }),
  ]);
  return {
    postgres,
    kafka,
    kafkaProxy,
    proxiedBrokers: `127.0.0.1:${kafkaProxy.port}`,
    heal: async () => {
      await kafkaProxy.set({});
      if (kafka.pid() === null) await kafka.start();
      // A server that runs refuses to start twice.
      await postgres.start().catch(() => undefined);
    },
    stop: async () => {
      await kafkaProxy.stop();
      await Promise.all([kafka.stop(), postgres.stop()]);
    },
  };
}
