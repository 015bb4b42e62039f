/** Rejected rows of one import: kept in the staging database, counted, shown, saved aside, limited. */
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { excerpt, OutputNotWritable, TooManyBadRows } from '@nestrec/errors';
import type { RowAppender, Staging } from './staging.js';
import type { Reject } from './types.js';

export const REJECTS_SHOWN = 20;
export const DEFAULT_MAX_BAD = 0.001;
/** Longer rows are cut in the rejects file. */
const SAVED_CHARACTERS = 65_536;

export async function createRejectsTable(staging: Staging): Promise<void> {
  await staging.run(
    `CREATE TABLE rejects (ord BIGINT, line BIGINT, col VARCHAR, reason VARCHAR, got VARCHAR,
       want VARCHAR, body VARCHAR)`,
  );
}

/** A row that could not even be split into columns. `ord` is its place among all rows. */
export function appendReject(
  appender: RowAppender,
  reject: {
    ord: number;
    line: number;
    reason: string;
    want: string;
    column?: string;
    text: string;
  },
): void {
  const { ord, line, column = null, reason, want, text } = reject;
  const body = JSON.stringify(text.toWellFormed().slice(0, SAVED_CHARACTERS));
  const got = excerpt(text.toWellFormed()).replaceAll('\0', ' ');
  appender.append(BigInt(ord), BigInt(line), column, reason, got, want, body);
}

export interface RejectCounts {
  readonly bad: number;
  readonly badByReason: Record<string, number>;
  readonly rejects: Reject[];
}

export async function countRejects(staging: Staging): Promise<RejectCounts> {
  const counts = await staging.rows(
    `SELECT reason, count(*)::DOUBLE FROM rejects GROUP BY reason ORDER BY 2 DESC, 1`,
  );
  const shown = await staging.rows(
    `SELECT line::DOUBLE, col, reason, coalesce(got, ''), coalesce(want, '') FROM rejects
     ORDER BY line, ord LIMIT ${REJECTS_SHOWN}`,
  );
  return {
    bad: counts.reduce((sum, row) => sum + Number(row[1]), 0),
    badByReason: Object.fromEntries(counts.map(([reason, n]) => [String(reason), Number(n)])),
    rejects: shown.map(([line, column, reason, got, want]) => ({
      line: Number(line),
      column: column === null ? null : String(column),
      reason: String(reason),
      got: excerpt(String(got)),
      want: String(want),
    })),
  };
}

/** Writes every rejected row as a JSON line. Returns the path, or null when there was nothing to save. */
export async function saveRejects(
  staging: Staging,
  path: string | undefined,
  bad: number,
): Promise<string | null> {
  if (path === undefined || bad === 0) return null;
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(path, 'w');
    try {
      const rows = staging.stream(
        'SELECT line::DOUBLE, col, reason, got, want, body FROM rejects ORDER BY line, ord',
      );
      for await (const batch of rows) {
        const lines = batch.map(([line, column, reason, got, want, body]) =>
          JSON.stringify({
            line,
            column,
            reason,
            got,
            want,
            row: JSON.parse(String(body)) as unknown,
          }),
        );
        await file.write(`${lines.join('\n')}\n`);
      }
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    throw new OutputNotWritable({
      detail: `The rejects file ${excerpt(path)} cannot be written: ${error.message}.`,
      cause: error,
    });
  }
  return path;
}

/** @throws TooManyBadRows with the first 20 rejects as fields. */
export function enforceMaxBad(
  counts: RejectCounts,
  read: number,
  maxBad: number,
  savedAt: string | null,
): void {
  if (counts.bad <= maxBad * read) return;
  const reasons = Object.entries(counts.badByReason).map(([reason, n]) => `${reason} ${n}`);
  throw new TooManyBadRows({
    detail:
      `${counts.bad} of ${read} rows are bad (${reasons.join(', ')}), more than the limit of ` +
      `${Number((maxBad * 100).toFixed(6))} %; nothing was imported. Repair the file, or raise --max-bad.` +
      (savedAt === null ? '' : ` All rejected rows: ${savedAt}.`),
    fields: counts.rejects.map((r) => ({
      path: r.column === null ? `line ${r.line}` : `line ${r.line}, ${r.column}`,
      got: `${r.reason}: ${r.got}`,
      want: r.want,
    })),
  });
}
