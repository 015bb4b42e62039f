/**
 * Three Kafka brokers that are one cluster, each a controller too: a record is acknowledged when two of its three
 * copies have it, so that any one broker may be lost.
 */
import { clusterId, startKafka, type KafkaOptions, type KafkaServer } from './kafka-server.js';
import { lastingPort } from './processes.js';

export interface KafkaCluster {
  readonly nodes: readonly KafkaServer[];
  /** For KAFKA_BROKERS: all three. */
  readonly brokers: string;
  /** Ends all of them for good. */
  stop(): Promise<void>;
}

const NODES = [1, 2, 3] as const;
const COPIES = '3';
const IN_SYNC = '2';

export async function startKafkaCluster(options: KafkaOptions = {}): Promise<KafkaCluster> {
  const id = clusterId();
  const places = await Promise.all(
    NODES.map(async () => ({
      ...{ port: await lastingPort(), controllerPort: await lastingPort(), clusterId: id },
    })),
  );
  const voters = places
    .map(({ controllerPort }, index) => `${NODES[index]}@127.0.0.1:${controllerPort}`)
    .join(',');
  // None of them answers before two are there.
  const started = await Promise.allSettled(
    places.map((place, index) =>
      startKafka({
        ...options,
        place,
        properties: {
          'node.id': String(NODES[index]),
          'controller.quorum.voters': voters,
          'min.insync.replicas': IN_SYNC,
          'default.replication.factor': COPIES,
          'offsets.topic.replication.factor': COPIES,
          'transaction.state.log.replication.factor': COPIES,
          'transaction.state.log.min.isr': IN_SYNC,
          'share.coordinator.state.topic.replication.factor': COPIES,
          'share.coordinator.state.topic.min.isr': IN_SYNC,
          // A broker that is killed is out of the in-sync copies as soon as its session ends.
          'replica.lag.time.max.ms': '10000',
          ...options.properties,
        },
      }),
    ),
  );
  const nodes = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const stop = async () => void (await Promise.all(nodes.map((node) => node.stop())));
  const failed = started.find((one) => one.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  return { nodes, brokers: nodes.map((node) => node.brokers).join(','), stop };
}
