/** Times of events: one SQL expression for what a file may hold, and the unit of numeric ones. */
import { excerpt } from '@nestrec/errors';
import type { SourceColumn } from './columns.js';
import { quoteText, type Staging } from './staging.js';
import type { TimeUnit } from './types.js';

/** With a date at least; no zone means UTC. */
const ISO = String.raw`^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?( ?(Z|z|[+-]\d{2}(:?\d{2})?))?)?$`;
const ISO_WITHOUT_ZONE = String.raw`^\d{4}-\d{2}-\d{2}([T ][0-9:.]+)?$`;

/** Sizes at which a number of today can only be of one unit (1e11 s is the year 5138, 1e11 ms is 1973). */
const UNIT_OF_NUM = `CASE WHEN abs(num) < 1e11 THEN 's' WHEN abs(num) < 1e14 THEN 'ms'
  WHEN abs(num) < 1e17 THEN 'us' ELSE 'ns' END`;
const TO_MS: Readonly<Record<TimeUnit, string>> = {
  s: 'num * 1000',
  ms: 'num',
  us: 'num / 1000',
  ns: 'num / 1000000',
};
const UNIT_NAMES: Readonly<Record<TimeUnit, string>> = {
  s: 'seconds',
  ms: 'milliseconds',
  us: 'microseconds',
  ns: 'nanoseconds',
};

export interface TimeExpressions {
  /** The value as written, for rejects. */
  readonly raw: string;
  /** A number since 1970, unit unknown, or NULL. */
  readonly num: string;
  /** Milliseconds since 1970 of a time that is not a number, or NULL. */
  readonly textMs: string;
}

export function timeExpressions(
  column: SourceColumn,
  timeFormat: string | undefined,
): TimeExpressions {
  const raw = column.text;
  if (column.kind === 'timestamp') {
    const time = `TRY_CAST(${column.native} AS TIMESTAMP)`;
    return {
      raw,
      num: 'NULL::DOUBLE',
      textMs: `CASE WHEN isfinite(${time}) THEN epoch_ms(${time}) END`,
    };
  }
  const double =
    column.kind === 'number' ? `${column.native}::DOUBLE` : `TRY_CAST(trim(${raw}) AS DOUBLE)`;
  const num = `CASE WHEN isfinite(${double}) THEN ${double} END`;
  if (timeFormat !== undefined)
    return {
      raw,
      num: 'NULL::DOUBLE',
      textMs: `epoch_ms(try_strptime(trim(${raw}), ${quoteText(timeFormat)})::TIMESTAMP)`,
    };
  const parsed = `TRY_CAST(trim(${raw}) AS TIMESTAMPTZ)`;
  const textMs = `CASE WHEN regexp_full_match(trim(${raw}), '${ISO}') THEN epoch_ms(${parsed}) END`;
  return { raw, num, textMs };
}

export interface TimeDecision {
  /** Milliseconds, over the columns `num` and `text_ms`. */
  readonly ms: string;
  /** True for numbers of another unit than the column's. */
  readonly otherUnit: string;
  readonly unitName: string;
}

/**
 * Decides the unit that numeric times have: the given one, or that of most wanted rows of `mapped`.
 * What was decided goes into `notes`.
 */
export async function decideTimes(
  staging: Staging,
  column: SourceColumn,
  given: TimeUnit | 'auto',
  notes: string[],
): Promise<TimeDecision> {
  const counted = await staging.rows(
    `SELECT ${UNIT_OF_NUM}, count(*)::DOUBLE FROM mapped WHERE wanted AND num > 0 GROUP BY 1 ORDER BY 2 DESC, 1`,
  );
  const name = excerpt(column.name);
  const unit = given === 'auto' ? ((counted[0]?.[0] as TimeUnit | undefined) ?? 's') : given;
  if (counted.length > 0)
    notes.push(
      `Numeric times of column ${name} are ${UNIT_NAMES[unit]} since 1970` +
        (given === 'auto' && counted.length > 1
          ? ` (${counted.map(([u, n]) => `${Number(n)} in ${UNIT_NAMES[u as TimeUnit]}`).join(', ')}; the others are bad rows).`
          : '.'),
    );
  if (column.kind === 'text') {
    const [row] = await staging.rows(
      `SELECT count(*) FILTER (WHERE text_ms IS NOT NULL AND num IS NULL)::DOUBLE,
              count(*) FILTER (WHERE text_ms IS NOT NULL AND num IS NULL
                AND regexp_full_match(trim(time_text), '${ISO_WITHOUT_ZONE}'))::DOUBLE
       FROM mapped WHERE wanted`,
    );
    const [texts, zoneless] = row!.map(Number) as [number, number];
    if (texts > 0 && counted.length > 0)
      notes.push(`Column ${name} has both numeric times and ${texts} times written as text.`);
    if (zoneless > 0) notes.push(`${zoneless} times without a zone were read as UTC.`);
  }
  return {
    ms: `CASE WHEN num IS NOT NULL THEN TRY_CAST(round(${TO_MS[unit]}) AS BIGINT) ELSE text_ms END`,
    otherUnit: given === 'auto' ? `(num IS NOT NULL AND (${UNIT_OF_NUM}) <> '${unit}')` : 'FALSE',
    unitName: UNIT_NAMES[unit],
  };
}
