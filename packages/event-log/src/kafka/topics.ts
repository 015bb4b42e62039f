/**
 * The topics that nestrec needs: created where they are absent and that is allowed, checked where they
 * exist. Partitions are never added: the partition of a user would change, and with it the order of events.
 */
import { EventLogUnsuitable } from '@nestrec/errors';
import type { Logger } from '@nestrec/runtime';
import type { Admin, ITopicConfig } from 'kafkajs';

export interface WantedTopics {
  readonly names: readonly string[];
  readonly create: boolean;
  readonly partitions: number;
  readonly replicationFactor: number | null;
}

/**
 * Resolves once every topic exists; brokers may still be electing its leaders.
 * @throws EventLogUnsuitable where a topic is absent and must not or cannot be created
 */
export async function ensureTopics(
  admin: Admin,
  wanted: WantedTopics,
  logger: Logger,
): Promise<void> {
  const existing = new Set(await admin.listTopics());
  const absent = wanted.names.filter((name) => !existing.has(name));
  if (absent.length === 0) return;
  if (!wanted.create) throw missing(absent, 'create them, or set KAFKA_CREATE_TOPICS=true');
  const topics = absent.map((topic): ITopicConfig => {
    const numPartitions = wanted.partitions;
    const replicationFactor = wanted.replicationFactor ?? -1;
    return { topic, numPartitions, replicationFactor };
  });
  try {
    // False: another process was faster.
    const created = await admin.createTopics({ topics, waitForLeaders: true });
    if (created) logger.info({ topics: absent, partitions: wanted.partitions }, 'topics created');
  } catch (error) {
    if ((error as { retriable?: boolean }).retriable === true) throw error;
    throw missing(absent, `creating them failed: ${(error as Error).message}`, error);
  }
}

function missing(topics: readonly string[], cure: string, cause?: unknown): Error {
  return new EventLogUnsuitable({ detail: `no topic ${topics.join(', ')}: ${cure}`, cause });
}
