/**
 * Applies one batch of the event log: interactions, states, rejects and the position in one transaction,
 * so that a crash at any moment leaves all of them or none (reliability.md section 0.1).
 */
import type { LogEvent } from '@nestrec/contracts';
import type { Database, Queryable } from '@nestrec/database';
import { EventLogGap } from '@nestrec/errors';
import { fingerprintOf, type LogBatch, type LogRecord } from '@nestrec/event-log';
import type { Clock } from '@nestrec/runtime';
import {
  deleteUserStates,
  getPublished,
  insertInteractions,
  insertRejects,
  lockPosition,
  savePosition,
  type Interaction,
  type ItemVectorCache,
  type Reject,
} from '@nestrec/storage';
import type { ModelCache } from './model-source.js';
import { parseRecord, type Fault } from './record-parsing.js';
import { updateStates, type StateUpdate } from './update-states.js';

export interface BatchContext {
  readonly db: Database;
  readonly topic: string;
  readonly clock: Clock;
  readonly models: ModelCache;
  readonly vectors: ItemVectorCache;
}

export interface BatchOutcome extends StateUpdate {
  readonly nextOffset: bigint;
  /** Records below the stored position: delivered again. */
  readonly skipped: number;
  /** Events that were stored already, with the same body. */
  readonly duplicates: number;
  /** When the log took each event that was stored now. */
  readonly appliedAppendedAtMs: readonly number[];
  readonly rejects: readonly Fault[];
}

/** Thrown inside the transaction: the published model has to be loaded first, outside of it. */
class ModelWanted extends Error {
  constructor(readonly version: string) {
    super(`model ${version} is not loaded`);
  }
}

const NO_UPDATE: StateUpdate = { stepped: 0, rebuilt: 0, unknownEvents: 0 };

/**
 * Applies a batch. With `refuse`, every record of it is set aside for that reason instead of being read.
 *
 * @throws what the database throws; nothing has changed then
 */
export async function applyBatch(
  context: BatchContext,
  batch: LogBatch,
  refuse?: Fault,
): Promise<BatchOutcome> {
  for (;;) {
    try {
      return await context.db.transaction((tx) => applyWithin(tx, context, batch, refuse));
    } catch (error) {
      if (!(error instanceof ModelWanted)) throw error;
      await context.models.load(error.version);
    }
  }
}

async function applyWithin(
  tx: Queryable,
  context: BatchContext,
  batch: LogBatch,
  refuse: Fault | undefined,
): Promise<BatchOutcome> {
  const { topic } = context;
  const position = await lockPosition(tx, topic, batch.partition);
  assertReaches(batch, position.nextOffset);
  const fresh = batch.records.filter((record) => record.offset >= position.nextOffset);
  const skipped = batch.records.length - fresh.length;
  const last = fresh.at(-1);
  if (last === undefined) {
    return {
      ...{ ...NO_UPDATE, nextOffset: position.nextOffset, skipped, duplicates: 0 },
      ...{ appliedAppendedAtMs: [], rejects: [] },
    };
  }

  const rejects: { record: LogRecord; fault: Fault }[] = [];
  const sources = new Map<Interaction, LogRecord>();
  for (const record of fresh) {
    const parsed = refuse ? { fault: refuse } : parseRecord(record, context.clock.now());
    if (parsed.fault) rejects.push({ record, fault: parsed.fault });
    else sources.set(toInteraction(parsed.event), record);
  }
  const { stored, conflicts, duplicates } = await store(tx, [...sources.keys()]);
  for (const event of conflicts) {
    const detail = `event_id ${JSON.stringify(event.eventId).slice(0, 64)} stands for another event`;
    rejects.push({ record: sources.get(event)!, fault: { reason: 'event_id_conflict', detail } });
  }
  const update = await carryIntoStates(tx, context, stored);
  const toReject = ({ record, fault }: (typeof rejects)[number]): Reject => ({
    ...{ topic, partition: batch.partition, offset: record.offset, part: 0 },
    ...{ reason: fault.reason, detail: fault.detail, key: record.key, value: record.value },
  });
  await insertRejects(tx, rejects.map(toReject));
  const nextOffset = last.offset + 1n;
  const fingerprint = fingerprintOf(last);
  await savePosition(tx, { topic, partition: batch.partition, nextOffset, fingerprint });
  return {
    ...update,
    ...{ nextOffset, skipped, duplicates },
    appliedAppendedAtMs: stored.map((event) => sources.get(event)!.appendedAtMs),
    rejects: rejects.map(({ fault }) => fault),
  };
}

/** Stores events; says which are new, which stand already, and which contradict a stored one. */
async function store(tx: Queryable, events: readonly Interaction[]) {
  const outcome = await insertInteractions(tx, events);
  const conflicts = new Set(outcome.conflicts);
  const seen = new Set<string>();
  const stored: Interaction[] = [];
  for (const event of events) {
    // Of several with one id, the first in the log is the one that was stored.
    const first = !seen.has(event.eventId);
    seen.add(event.eventId);
    if (first && outcome.inserted.has(event.eventId)) stored.push(event);
  }
  return { stored, conflicts, duplicates: events.length - stored.length - conflicts.size };
}

async function carryIntoStates(
  tx: Queryable,
  context: BatchContext,
  stored: readonly Interaction[],
): Promise<StateUpdate> {
  if (stored.length === 0) return NO_UPDATE;
  const published = await getPublished(tx);
  const model = published === null ? null : context.models.peek(published.version);
  if (model === undefined) throw new ModelWanted(published!.version);
  if (model === null) {
    // States that would now be behind must not stay: whoever needs one rebuilds it.
    await deleteUserStates(tx, [...new Set(stored.map((event) => event.userId))]);
    return NO_UPDATE;
  }
  const vectors = (itemIds: readonly string[]) => context.vectors.load(tx, model.version, itemIds);
  return updateStates({ tx, model, vectors }, stored);
}

function toInteraction(event: LogEvent): Interaction {
  return {
    eventId: event.event_id,
    userId: event.user_id,
    itemId: event.item_id,
    type: event.type,
    timestampMs: event.timestamp_ms,
    value: event.value,
  };
}

/** Stops where records are missing between the position and the batch: somebody moved the position back. */
function assertReaches(batch: LogBatch, nextOffset: bigint): void {
  if (batch.from <= nextOffset) return;
  throw new EventLogGap({
    detail:
      `partition ${batch.partition}: wanted records from offset ${nextOffset}, got them from ` +
      `${batch.from}; the stored position went back, and is read anew`,
  });
}
