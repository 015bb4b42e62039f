/**
 * Applies events that follow one another in the log, within the transaction of the batch: stores those that
 * no tombstone stops, carries them into states, and sets aside what cannot be applied.
 */
import type { LogInteraction } from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';
import type { LogRecord } from '@nestrec/event-log';
import {
  insertInteractions,
  insertRejects,
  nameRejectSubjects,
  noteNewItems,
  readTombstones,
  type ErasedBy,
  type Interaction,
} from '@nestrec/storage';
import type { EventEntry } from './batch-runs.js';
import { carryIntoStates, type BatchContext } from './carry-states.js';
import type { Fault } from './record-parsing.js';
import { subjectOf, type RecordSubject } from './record-subject.js';
import type { StateUpdate } from './update-states.js';
import { CONSUMER_VERSION } from './version.js';

/** A record that tombstones keep out, and of what they are. */
export interface Stopped {
  readonly record: LogRecord;
  readonly by: ErasedBy;
}

export interface EventsOutcome {
  readonly update: StateUpdate;
  /** Records of the events that were stored now. */
  readonly stored: readonly LogRecord[];
  readonly duplicates: number;
  readonly rejects: readonly Fault[];
  readonly stopped: readonly Stopped[];
}

interface Rejected {
  readonly record: LogRecord;
  readonly fault: Fault;
}

export async function applyEvents(
  tx: Queryable,
  context: BatchContext,
  partition: number,
  entries: readonly EventEntry[],
): Promise<EventsOutcome> {
  const { passed, stopped } = await keepOutErased(tx, entries);
  const rejects: Rejected[] = [];
  const sources = new Map<Interaction, LogRecord>();
  for (const { record, event, fault } of passed) {
    if (fault !== undefined) rejects.push({ record, fault });
    else sources.set(toInteraction(event), record);
  }
  const { stored, conflicts, duplicates } = await store(tx, [...sources.keys()]);
  for (const event of conflicts) {
    const detail = `event_id ${JSON.stringify(event.eventId).slice(0, 64)} stands for another event`;
    rejects.push({ record: sources.get(event)!, fault: { reason: 'event_id_conflict', detail } });
  }
  const update = await carryIntoStates(tx, context, stored);
  // Whoever deletes an item finds the others by their vectors.
  await noteNewItems(tx, update.unknownItems);
  await setAside(tx, { topic: context.log.topic, partition }, rejects);
  return {
    ...{ update, duplicates, stopped },
    stored: stored.map((event) => sources.get(event)!),
    rejects: rejects.map(({ fault }) => fault),
  };
}

/**
 * Parts what a tombstone stops from what may be applied. Records with a fault are stopped as well, where
 * one can read of them that they are late: as dead letters they would bring erased data back.
 */
async function keepOutErased(
  tx: Queryable,
  entries: readonly EventEntry[],
): Promise<{ passed: EventEntry[]; stopped: Stopped[] }> {
  const asked = entries.map((entry) => ({ entry, subjects: subjectsOf(entry) }));
  const tombstones = await readTombstones(
    tx,
    asked.flatMap(({ subjects }) => subjects),
  );
  const passed: EventEntry[] = [];
  const stopped: Stopped[] = [];
  for (const { entry, subjects } of asked) {
    const by = subjects.map((one) => tombstones.stop(one)).find((found) => found !== null);
    if (by === undefined) passed.push(entry);
    else stopped.push({ record: entry.record, by });
  }
  return { passed, stopped };
}

interface Subject {
  readonly userId: string;
  readonly eventId: string;
  readonly timestampMs: number | null;
}

/** Of whom an entry is. A faulty record may name one user in its key and another in its body. */
function subjectsOf({ record, event }: EventEntry): Subject[] {
  if (event !== undefined) {
    return [{ userId: event.user_id, eventId: event.event_id, timestampMs: event.timestamp_ms }];
  }
  const { userId, eventId, timestampMs } = subjectOf(record.value);
  const users = new Set([record.key, userId].filter((id) => id !== null));
  // No event has an empty id, so no tombstone has one.
  return [...users].map((id) => ({ userId: id, eventId: eventId ?? '', timestampMs }));
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

async function setAside(
  tx: Queryable,
  log: { readonly topic: string; readonly partition: number },
  rejects: readonly Rejected[],
): Promise<void> {
  if (rejects.length === 0) return;
  const places = rejects.map(({ record }) => ({ ...log, offset: record.offset, part: 0 }));
  await insertRejects(
    tx,
    rejects.map(({ record, fault }, i) => ({
      ...{ ...places[i]!, reason: fault.reason, detail: fault.detail },
      ...{ key: record.key, value: record.value },
      ...{ keyBytes: record.keyBytes ?? null, consumerVersion: CONSUMER_VERSION },
    })),
  );
  const subjects: RecordSubject[] = rejects.map(({ record }) => subjectOf(record.value));
  await nameRejectSubjects(
    tx,
    subjects.map(({ userId, eventId }, i) => ({ ...places[i]!, userId, eventId })),
  );
}

function toInteraction(event: LogInteraction): Interaction {
  return {
    eventId: event.event_id,
    userId: event.user_id,
    itemId: event.item_id,
    type: event.type,
    timestampMs: event.timestamp_ms,
    value: event.value,
  };
}
