/**
 * Applies one batch of the event log: interactions, erasures, states, rejects and the position in one
 * transaction, so that a crash at any moment leaves all of them or none (reliability.md section 0.1).
 */
import type { Queryable } from '@nestrec/database';
import { EventLogGap } from '@nestrec/errors';
import { fingerprintOf, type EraseRequest, type LogBatch } from '@nestrec/event-log';
import { lockPosition, savePosition, type ErasedBy } from '@nestrec/storage';
import { applyErasures } from './apply-erasures.js';
import { applyEvents } from './apply-events.js';
import { runsOf, type ErasureEntry, type EventEntry } from './batch-runs.js';
import { ModelWanted, rebuildStates, type BatchContext } from './carry-states.js';
import type { Fault } from './record-parsing.js';
import { subjectOf } from './record-subject.js';
import type { StateUpdate } from './update-states.js';

export type { BatchContext } from './carry-states.js';

export interface BatchOutcome extends StateUpdate {
  readonly nextOffset: bigint;
  /** Records that were delivered, whatever became of them. */
  readonly read: number;
  /** Records below the stored position: delivered again. */
  readonly skipped: number;
  /** Events that were stored already, with the same body, and erasures that were applied already. */
  readonly duplicates: number;
  /** When the log took each event that was stored now. */
  readonly appliedAppendedAtMs: readonly number[];
  readonly rejects: readonly Fault[];
  /** Records that came to nothing since their user or event, or their bytes in the log, are erased. */
  readonly erased: Readonly<Record<ErasedBy | 'bytes', number>>;
  /** Erasures applied now, by what they took out. */
  readonly erasures: Readonly<Record<ErasedBy, number>>;
}

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

/** What the runs of a batch have done so far. */
class Tally {
  stepped = 0;
  rebuilt = 0;
  unknownEvents = 0;
  duplicates = 0;
  readonly appliedAppendedAtMs: number[] = [];
  readonly rejects: Fault[] = [];
  readonly erased = { user: 0, event: 0, bytes: 0 };
  readonly erasures = { user: 0, event: 0 };

  outcome(nextOffset: bigint, read: number, skipped: number): BatchOutcome {
    return { ...this, nextOffset, read, skipped };
  }
}

/** One batch in its transaction. */
interface Work {
  readonly tx: Queryable;
  readonly context: BatchContext;
  readonly partition: number;
  readonly tally: Tally;
  /** Whose bytes must not stay in a log of our own. */
  readonly erase: { readonly keys: EraseRequest['keys'][number][]; readonly offsets: bigint[] };
}

async function applyWithin(
  tx: Queryable,
  context: BatchContext,
  batch: LogBatch,
  refuse: Fault | undefined,
): Promise<BatchOutcome> {
  const { topic } = context.log;
  const { partition } = batch;
  const position = await lockPosition(tx, topic, partition);
  assertReaches(batch, position.nextOffset);
  const fresh = batch.records.filter((record) => record.offset >= position.nextOffset);
  const skipped = batch.records.length - fresh.length;
  const tally = new Tally();
  const last = fresh.at(-1);
  if (last === undefined) return tally.outcome(position.nextOffset, skipped, skipped);

  const whole = fresh.filter((record) => record.erased !== true);
  tally.erased.bytes = fresh.length - whole.length;
  const work: Work = { tx, context, partition, tally, erase: { keys: [], offsets: [] } };
  for (const run of runsOf(whole, context.clock.now(), refuse)) {
    if (run.kind === 'events') await storeEvents(work, run.entries);
    else await erase(work, run.entries);
  }
  const { keys, offsets } = work.erase;
  if (keys.length + offsets.length > 0) await context.log.erase?.(tx, { keys, offsets });
  const nextOffset = last.offset + 1n;
  await savePosition(tx, { topic, partition, nextOffset, fingerprint: fingerprintOf(last) });
  return tally.outcome(nextOffset, batch.records.length, skipped);
}

async function storeEvents(work: Work, entries: readonly EventEntry[]): Promise<void> {
  const { tally } = work;
  const done = await applyEvents(work.tx, work.context, work.partition, entries);
  tally.stepped += done.update.stepped;
  tally.rebuilt += done.update.rebuilt;
  tally.unknownEvents += done.update.unknownEvents;
  tally.duplicates += done.duplicates;
  tally.rejects.push(...done.rejects);
  for (const record of done.stored) tally.appliedAppendedAtMs.push(record.appendedAtMs);
  for (const { record, by } of done.stopped) {
    tally.erased[by] += 1;
    work.erase.offsets.push(record.offset);
  }
}

async function erase(work: Work, entries: readonly ErasureEntry[]): Promise<void> {
  const { tx, context, partition, tally } = work;
  const placed = entries.map(({ record, erasure }) => ({ offset: record.offset, erasure }));
  const log = { topic: context.log.topic, partition };
  const done = await applyErasures(tx, log, placed);
  tally.duplicates += placed.length - done.applied.length;
  tally.rebuilt += await rebuildStates(tx, context, done.statesToRebuild);
  // An erasure names whom it erases: it goes too, now that its receipt is written.
  work.erase.offsets.push(...placed.map(({ offset }) => offset), ...done.rejectOffsets);
  for (const { offset, erasure } of done.applied) {
    const ofEvent = erasure.type === 'erase_event';
    tally.erasures[ofEvent ? 'event' : 'user'] += 1;
    work.erase.keys.push({
      ...{ key: erasure.user_id, below: offset },
      ...(ofEvent && { only: isAboutEvent(erasure.target_event_id) }),
    });
  }
}

const isAboutEvent = (eventId: string) => (value: Uint8Array) =>
  subjectOf(value).eventId === eventId;

/** Stops where records are missing between the position and the batch: somebody moved the position back. */
function assertReaches(batch: LogBatch, nextOffset: bigint): void {
  if (batch.from <= nextOffset) return;
  throw new EventLogGap({
    detail:
      `partition ${batch.partition}: wanted records from offset ${nextOffset}, got them from ` +
      `${batch.from}; the stored position went back, and is read anew`,
  });
}
