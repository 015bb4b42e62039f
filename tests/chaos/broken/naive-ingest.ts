/**
 * A deliberately broken consumer: the obvious one. It stores events and steps states as they come, and tells
 * Kafka of its progress now and then, so that a kill in between makes it apply events again. Events
 * are stored once (their id is a key), but states count them twice.
 */
import { logInteractionSchema } from '@nestrec/contracts';
import { openPostgres } from '@nestrec/database';
import { systemClock, silentLogger } from '@nestrec/runtime';
import {
  createItemVectorCache,
  getPublished,
  getUserStates,
  insertInteractions,
  upsertUserStates,
  type Interaction,
} from '@nestrec/storage';
import { decodeState, encodeState, type UserState } from '@nestrec/streaming';
import { Kafka, logLevel } from 'kafkajs';
import { artifactModels } from '../../../services/ingest/src/model-source.js';

const { env } = process;
const setting = (name: string) => env[name] ?? '';
const COMMIT_INTERVAL_MS = 1_000;

const db = await openPostgres({
  url: setting('DATABASE_URL'),
  max: 4,
  logger: silentLogger(),
  allowUnsafeDurability: true,
});
const { version } = (await getPublished(db))!;
const { cell } = await artifactModels(db)(version);
const vectors = createItemVectorCache();

async function apply(events: readonly Interaction[]): Promise<void> {
  await insertInteractions(db, events);
  const users = [...new Set(events.map((event) => event.userId))];
  const rows = await getUserStates(db, users);
  const known = await vectors.load(
    db,
    version,
    events.map((event) => event.itemId),
  );
  const states = new Map<string, { state: UserState; newest: Interaction | null }>();
  for (const event of events) {
    const row = rows.get(event.userId);
    const open = states.get(event.userId) ?? {
      state: row ? decodeState(row.state, cell) : cell.fold([]),
      newest: null,
    };
    cell.step(open.state, known.get(event.itemId)!);
    states.set(event.userId, { state: open.state, newest: event });
  }
  await upsertUserStates(
    db,
    [...states].map(([userId, { state, newest }]) => ({
      ...{ userId, modelVersion: version, state: encodeState(state) },
      ...{ lastItemId: newest!.itemId, eventsInState: state.events, unknownEvents: 0 },
      vectorsRevision: 1n,
      ...{ edits: 0, newestTimestampMs: newest!.timestampMs, newestEventId: newest!.eventId },
    })),
  );
}

function parse(value: Buffer | null): Interaction {
  const event = logInteractionSchema.parse(JSON.parse(String(value)));
  return {
    ...{ eventId: event.event_id, userId: event.user_id, itemId: event.item_id },
    ...{ type: event.type, timestampMs: event.timestamp_ms, value: event.value },
  };
}

const consumer = new Kafka({
  brokers: setting('KAFKA_BROKERS').split(','),
  logLevel: logLevel.NOTHING,
}).consumer({
  groupId: setting('KAFKA_CONSUMER_GROUP'),
  sessionTimeout: Number.parseInt(setting('KAFKA_SESSION_TIMEOUT'), 10),
  heartbeatInterval: 500,
});
await consumer.connect();
await consumer.subscribe({ topic: setting('KAFKA_TOPIC'), fromBeginning: true });
await consumer.run({
  autoCommitInterval: COMMIT_INTERVAL_MS,
  eachBatchAutoResolve: false,
  eachBatch: async ({ batch, resolveOffset, heartbeat, commitOffsetsIfNecessary, isRunning }) => {
    for (let at = 0; at < batch.messages.length && isRunning(); at += 100) {
      const chunk = batch.messages.slice(at, at + 100);
      await apply(chunk.map(({ value }) => parse(value)));
      resolveOffset(chunk.at(-1)!.offset);
      await commitOffsetsIfNecessary();
      await heartbeat();
    }
  },
});
process.once('SIGTERM', () => {
  void consumer
    .disconnect()
    .then(() => db.close())
    .then(() => process.exit(0));
});
process.stderr.write(`naive ingest runs since ${systemClock.now()}\n`);
