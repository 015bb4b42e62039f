/**
 * Judges staged rows as events, in SQL: `mapped` (our fields as text), `verdict` (time, tie number, reason
 * or NULL), `events` (what is handed on). Bad ones go to `rejects`.
 *
 * Event ids. A mapped column gives them as they are. Otherwise they are derived, so that importing the same
 * file again gives the same ids: `<tie>-<hash>`, where tie (8 digits) counts the earlier rows of the file
 * with the same user and time, and hash is over user, item, type and time. So equal purchases stay apart,
 * events of one instant keep the file's order (events are ordered by time, then event id), and a longer
 * version of the file, or another `--where`, leaves the ids of old rows alone.
 */
import { MAX_ID_BYTES, MAX_FUTURE_MS } from '@nestrec/contracts';
import type { ResolvedMapping } from './columns.js';
import { idExpression } from './columns.js';
import { quoteText, type Staging } from './staging.js';
import { decideTimes, timeExpressions, type TimeDecision } from './times.js';
import type { InteractionImportOptions } from './types.js';

/** Times made up from the file's order begin here and are one second apart. */
export const MADE_UP_TIMES_FROM_MS = Date.UTC(2000, 0, 1);
const MADE_UP_STEP_MS = 1_000;

const ID_WANT = `1 to ${MAX_ID_BYTES} bytes without control characters`;
const CONTROL = String.raw`[\x00-\x1f\x7f\x{80}-\x{9f}]`;

/** Fills `mapped`; `wanted` marks the rows that the condition keeps. */
export async function createMapped(
  staging: Staging,
  mapping: ResolvedMapping,
  options: InteractionImportOptions,
  notes: string[],
): Promise<void> {
  const id = async (field: string) => {
    const column = mapping.get(field);
    return column === undefined ? 'NULL::VARCHAR' : idExpression(staging, column, notes);
  };
  const time = mapping.get('timestamp');
  const times = time
    ? timeExpressions(time, options.timeFormat)
    : { raw: 'NULL::VARCHAR', num: 'NULL::DOUBLE', textMs: 'NULL::BIGINT' };
  const type = mapping.get('type')?.text ?? quoteText(options.type ?? 'interaction');
  const value = mapping.get('value');
  await staging.run(
    `CREATE TABLE mapped AS SELECT ord, line,
       ${await id('user_id')} AS user_id, ${await id('item_id')} AS item_id,
       ${await id('event_id')} AS event_id, ${type} AS type,
       ${times.raw} AS time_text, ${times.num} AS num, ${times.textMs} AS text_ms,
       nullif(trim(${value?.text ?? 'NULL::VARCHAR'}), '') AS value_text,
       ${options.where === undefined ? 'TRUE' : 'ord IN (SELECT ord FROM wanted)'} AS wanted
     FROM raw`,
  );
}

interface Reason {
  readonly code: string;
  readonly test: string;
  readonly column: string;
  readonly got: string;
  readonly want: string;
}

function idReasons(field: string): Reason[] {
  const reason = (code: string, test: string) => ({
    code: `${field}_${code}`,
    test,
    column: field,
    got: field,
    want: ID_WANT,
  });
  return [
    reason('missing', `${field} IS NULL OR ${field} = ''`),
    reason('too_long', `strlen(${field}) > ${MAX_ID_BYTES}`),
    reason('control_character', `regexp_matches(${field}, '${CONTROL}')`),
  ];
}

function timeReasons(decision: TimeDecision, options: InteractionImportOptions): Reason[] {
  const earliest = options.earliestMs ?? MADE_UP_TIMES_FROM_MS;
  const latest = options.nowMs + MAX_FUTURE_MS;
  const from = new Date(earliest).toISOString();
  const reason = (code: string, test: string, want: string) => ({
    code: `timestamp_${code}`,
    test,
    column: 'timestamp',
    got: 'time_text',
    want,
  });
  const readable =
    options.timeFormat === undefined
      ? 'seconds or milliseconds since 1970, or YYYY-MM-DD HH:MM:SS (other texts: --time-format)'
      : `a time of the format ${options.timeFormat}`;
  return [
    reason('missing', `time_text IS NULL OR trim(time_text) = ''`, readable),
    reason('unreadable', 'num IS NULL AND text_ms IS NULL', readable),
    reason('not_positive', 'num <= 0', 'a time after 1970'),
    reason('unit', decision.otherUnit, `${decision.unitName} since 1970, as most rows have`),
    reason('too_early', `ms IS NULL OR ms < ${earliest}`, `a time from ${from} on (--earliest)`),
    reason('in_future', `ms > ${latest}`, `a time up to ${new Date(latest).toISOString()}`),
  ];
}

const OTHER_REASONS: readonly Reason[] = [
  {
    code: 'type_invalid',
    test: `type IS NULL OR NOT regexp_full_match(type, '[a-z][a-z0-9_]{0,63}')`,
    column: 'type',
    got: 'type',
    want: 'lower-case letters, digits and _, at most 64, beginning with a letter',
  },
  {
    code: 'value_not_a_number',
    test: `value_text IS NOT NULL AND NOT coalesce(isfinite(TRY_CAST(value_text AS DOUBLE)), FALSE)`,
    column: 'value',
    got: 'value_text',
    want: 'a finite number, or nothing',
  },
];

/** Fills `verdict` and moves the bad rows to `rejects`. */
export async function createVerdicts(
  staging: Staging,
  mapping: ResolvedMapping,
  options: InteractionImportOptions,
  notes: string[],
): Promise<void> {
  const time = mapping.get('timestamp');
  const decision = time
    ? await decideTimes(staging, time, options.timeUnit ?? 'auto', notes)
    : null;
  const ms = decision?.ms ?? `${MADE_UP_TIMES_FROM_MS} + ord * ${MADE_UP_STEP_MS}`;
  const reasons = [
    ...idReasons('user_id'),
    ...idReasons('item_id'),
    ...(mapping.has('event_id') ? idReasons('event_id') : []),
    ...(decision === null ? [] : timeReasons(decision, options)),
    ...OTHER_REASONS,
  ];
  const cases = reasons.map((r) => `WHEN ${r.test} THEN '${r.code}'`).join('\n');
  // Ties are counted over all rows, filtered ones too, so that another condition changes no event id.
  await staging.run(
    `CREATE TABLE verdict AS
     WITH timed AS (SELECT *, (${ms})::BIGINT AS ms FROM mapped)
     SELECT ord, line, user_id, item_id, event_id, type, time_text, value_text, ms, wanted,
       TRY_CAST(value_text AS DOUBLE) AS value,
       row_number() OVER (PARTITION BY user_id, ms ORDER BY ord) - 1 AS tie,
       CASE ${cases} END AS reason
     FROM timed`,
  );
  await staging.run('DROP TABLE mapped');
  const pick = (part: (r: Reason) => string) =>
    `CASE reason ${reasons.map((r) => `WHEN '${r.code}' THEN ${part(r)}`).join(' ')} END`;
  await staging.run(
    `INSERT INTO rejects SELECT ord, line, ${pick((r) => quoteText(mapping.get(r.column)?.name ?? r.column))}, reason,
       left(${pick((r) => r.got)}, 65), ${pick((r) => quoteText(r.want))}, ${ROW_JSON}
     FROM verdict WHERE wanted AND reason IS NOT NULL`,
  );
}

const ROW_JSON = `json_object('user_id', left(user_id, 4096), 'item_id', left(item_id, 4096),
  'timestamp', left(time_text, 4096), 'type', left(type, 4096), 'value', left(value_text, 4096))::VARCHAR`;

const DERIVED_ID = `printf('%08d-%s', tie::BIGINT,
  left(sha256(concat_ws(chr(31), user_id, item_id, type, ms::VARCHAR)), 24))`;

export interface EventCounts {
  readonly stored: number;
  readonly duplicate: number;
  readonly filtered: number;
}

/** Fills `events`; rows that repeat another are counted as duplicates, or rejected as conflicts. */
export async function createEvents(
  staging: Staging,
  hasEventId: boolean,
  repeatedRows: 'keep' | 'drop',
): Promise<EventCounts> {
  const body = 'user_id, item_id, type, ms, value';
  const good = `SELECT ord, line, ${body}, ${hasEventId ? 'event_id' : DERIVED_ID} AS event_id
    FROM verdict WHERE wanted AND reason IS NULL`;
  const key = hasEventId ? 'event_id' : repeatedRows === 'drop' ? body : null;
  const count = async (from: string) =>
    Number((await staging.rows(`SELECT count(*)::DOUBLE FROM ${from}`))[0]![0]);
  const filtered = await count('verdict WHERE NOT wanted');
  if (key === null) {
    await staging.run(`CREATE TABLE events AS ${good}`);
    await staging.run('DROP TABLE verdict');
    return { stored: await count('events'), duplicate: 0, filtered };
  }
  await staging.run(
    `CREATE TABLE ranked AS SELECT *, row_number() OVER same AS nth, first_value(line) OVER same AS first_line,
       row(${body}) IS DISTINCT FROM first_value(row(${body})) OVER same AS differs
     FROM (${good}) WINDOW same AS (PARTITION BY ${key} ORDER BY ord)`,
  );
  await staging.run('DROP TABLE verdict');
  await staging.run(
    `INSERT INTO rejects SELECT ord, line, 'event_id', 'event_id_conflict', left(event_id, 65),
       'an id of its own: line ' || first_line || ' has this one with other values',
       json_object('user_id', user_id, 'item_id', item_id, 'event_id', event_id, 'timestamp', ms)::VARCHAR
     FROM ranked WHERE differs`,
  );
  await staging.run(
    `CREATE TABLE events AS SELECT ord, line, ${body}, event_id FROM ranked WHERE nth = 1`,
  );
  const duplicate = await count('ranked WHERE nth > 1 AND NOT differs');
  await staging.run('DROP TABLE ranked');
  return { stored: await count('events'), duplicate, filtered };
}
