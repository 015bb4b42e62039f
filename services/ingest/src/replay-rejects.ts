/**
 * Replays rejects: those that pass today's validation are appended to the log again, by their own key and
 * bytes, and marked. The others stay as they are.
 *
 * Idempotent: an event that was stored in the meantime, or is appended twice because a replay was killed
 * between append and mark, is known by its event id and stored once.
 */
import type { Queryable } from '@nestrec/database';
import type { EventLog } from '@nestrec/event-log';
import type { Clock } from '@nestrec/runtime';
import {
  countUnreplayedRejects,
  markRejectsReplayed,
  unreplayedRejects,
  type RejectFilter,
  type StoredReject,
} from '@nestrec/storage';
import { chunksByBytes } from './chunks-by-bytes.js';
import { parseRecord, type RejectReason } from './record-parsing.js';

/** They pass validation and conflict again: only who asks for them gets them. */
const LEFT_OUT: readonly RejectReason[] = ['event_id_conflict'];
const PAGE = { rows: 500, bytes: 4_000_000 };
/** Brokers take record batches of 1 MB unless told otherwise; one record was taken before, whatever its size. */
const MAX_APPEND_BYTES = 950_000;

export interface ReplayDeps {
  readonly db: Queryable;
  readonly log: Pick<EventLog, 'append' | 'topic'>;
  readonly clock: Clock;
}

export interface ReplayOptions extends RejectFilter {
  /** Rejects looked at, at most; the oldest first. */
  readonly limit?: number;
  /** Says what would be done, and changes nothing. */
  readonly dryRun?: boolean;
  readonly onProgress?: (examined: number, total: number) => void;
}

export interface ReplaySummary {
  readonly examined: number;
  /** Appended to the log again; with `dryRun`, how many would be. */
  readonly replayed: number;
  /** Those that fail as before, by the reason that they have today. */
  readonly failing: Readonly<Record<string, number>>;
}

/** @throws what the log or the database throw; what was replayed until then is marked, and not repeated */
export async function replayRejects(
  { db, log, clock }: ReplayDeps,
  options: ReplayOptions = {},
): Promise<ReplaySummary> {
  const { dryRun = false, limit = Infinity, onProgress, ...filterBy } = options;
  const exceptReasons = LEFT_OUT.filter((reason) => reason !== filterBy.reason);
  const filter = { ...filterBy, topic: log.topic, exceptReasons };
  // What is set aside from now on is not looked at: a replayed conflict would come back for ever.
  const { count, lastSeq } = await countUnreplayedRejects(db, filter);
  const total = Math.min(count, limit);
  const failing = new Map<string, number>();
  let [examined, replayed, afterSeq] = [0, 0, 0n];

  while (examined < total) {
    const rows = Math.min(PAGE.rows, total - examined);
    const page = await unreplayedRejects(db, filter, { afterSeq, lastSeq }, { ...PAGE, rows });
    if (page.length === 0) break;
    const passing: StoredReject[] = [];
    for (const reject of page) {
      const { fault } = parseRecord(reject, clock.now());
      if (fault === undefined) passing.push(reject);
      else failing.set(fault.reason, (failing.get(fault.reason) ?? 0) + 1);
    }
    if (!dryRun) await appendAgain(db, log, passing);
    replayed += passing.length;
    examined += page.length;
    afterSeq = page.at(-1)!.seq;
    onProgress?.(examined, total);
  }
  return { examined, replayed, failing: Object.fromEntries([...failing].sort()) };
}

/** Appends, then marks: what dies between the two is appended again, and stored once. */
async function appendAgain(
  db: Queryable,
  log: Pick<EventLog, 'append'>,
  rejects: readonly StoredReject[],
): Promise<void> {
  const sizeOf = ({ value }: StoredReject) => value!.length + 1_024;
  for (const chunk of chunksByBytes(rejects, sizeOf, MAX_APPEND_BYTES)) {
    // A record that passes has a value, and a key that is the user's id.
    await log.append(chunk.map(({ key, value }) => ({ key: key!, value: value! })));
    const seqs = chunk.map(({ seq }) => seq);
    await markRejectsReplayed(db, seqs);
  }
}
