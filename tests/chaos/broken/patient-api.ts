/** A deliberately broken API: it waits for the broker as long as kafkajs does by default. */
import { Kafka, logLevel } from 'kafkajs';
import { runApiWithLog } from './api-with-log.js';

await runApiWithLog((_log, { brokers, topic }) => {
  const producer = new Kafka({ brokers, logLevel: logLevel.NOTHING }).producer();
  const connected = producer.connect();
  return {
    topic,
    append: async (records) => {
      await connected;
      const messages = records.map(({ key, value }) => ({ key, value: Buffer.from(value) }));
      await producer.send({ topic, messages, acks: -1 });
      return records.map(() => ({ partition: 0, offset: 0n }));
    },
  };
});
