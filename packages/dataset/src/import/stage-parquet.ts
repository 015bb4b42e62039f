/** Stages Parquet: DuckDB reads the columns that are mapped or named by the condition, with their types. */
import { excerpt, InvalidInput, NestrecError } from '@nestrec/errors';
import {
  refuseEqualNames,
  type ColumnKind,
  type SourceColumn,
  type StagedTable,
} from './columns.js';
import type { SourceFile } from './source-file.js';
import { quoteName, quoteText, type Staging } from './staging.js';

/**
 * @param needed whether a column is wanted; others are not read.
 * @throws InvalidInput when the file is not (whole) Parquet, or has no rows.
 */
export async function stageParquet(
  staging: Staging,
  file: SourceFile,
  needed: (names: readonly string[]) => ReadonlySet<string>,
): Promise<StagedTable> {
  if (file.compression !== 'none')
    throw new InvalidInput({
      detail: `${excerpt(file.path)} is Parquet inside ${file.compression}; unpack it.`,
    });
  // DuckDB would take these as a pattern, and read whatever files match.
  if (/[*?[\]{}]/.test(file.path))
    throw new InvalidInput({
      detail: `The path ${excerpt(file.path)} has one of * ? [ ] { }; rename the file.`,
    });
  const source = `read_parquet(${quoteText(file.path)}, file_row_number = true, hive_partitioning = false)`;
  try {
    const described = await staging.rows(
      `SELECT column_name, column_type FROM (DESCRIBE SELECT * EXCLUDE (file_row_number) FROM ${source})`,
    );
    const types = new Map(described.map(([name, type]) => [String(name), String(type)]));
    refuseEqualNames([...types.keys()]);
    const wanted = needed([...types.keys()]);
    const selected = [...types.keys()].filter((name) => wanted.has(name));
    const cells = selected.map((name, i) => `, ${quoteName(name)} AS c${i}`).join('');
    await staging.run(
      `CREATE TABLE raw AS SELECT (file_row_number + 1)::BIGINT AS ord,
         (file_row_number + 1)::BIGINT AS line${cells} FROM ${source}`,
    );
    const [count] = await staging.rows('SELECT count(*)::DOUBLE FROM raw');
    const read = Number(count![0]);
    if (read === 0) throw new InvalidInput({ detail: `${excerpt(file.path)} has no row.` });
    const staged = selected.map((name, i) => columnOf(name, `c${i}`, types.get(name)!));
    // Columns that nobody needs stay known by name, for the list in error messages.
    const rest = [...types.keys()]
      .filter((name) => !wanted.has(name))
      .map((name) => columnOf(name, 'NULL', types.get(name)!));
    return { format: 'parquet', columns: [...staged, ...rest], read, notes: [] };
  } catch (error) {
    const message =
      error instanceof NestrecError ? (error.cause as Error | undefined)?.message : '';
    if (message === undefined || !/parquet|magic bytes|TProtocol|corrupt|too small/i.test(message))
      throw error;
    throw new InvalidInput({
      detail: `${excerpt(file.path)} is not a whole Parquet file: ${excerpt(message.split('\n')[0]!)}.`,
      cause: error,
    });
  }
}

function columnOf(name: string, cell: string, type: string): SourceColumn {
  if (/\[\]$|^(STRUCT|MAP)/.test(type))
    return { name, native: cell, text: `to_json(${cell})::VARCHAR`, kind: 'list' };
  if (/^(TIMESTAMP|DATE)/.test(type))
    return { name, native: cell, text: `${cell}::VARCHAR`, kind: 'timestamp' };
  if (/^(FLOAT|DOUBLE|DECIMAL)/.test(type))
    return { name, native: cell, text: doubleText(cell), kind: 'number' };
  if (/INT/.test(type)) return { name, native: cell, text: `${cell}::VARCHAR`, kind: 'number' };
  if (type === 'BLOB') {
    // Writers that do not mark their strings as UTF-8.
    const text = `TRY(decode(${cell}))`;
    return { name, native: text, text, kind: 'text' };
  }
  const kind: ColumnKind = 'text';
  return { name, native: cell, text: `${cell}::VARCHAR`, kind };
}

/** 17850.0 -> '17850' (every double of the column is a number, so this is exact); NaN is no value. */
function doubleText(cell: string): string {
  const double = `${cell}::DOUBLE`;
  return `CASE WHEN ${cell} IS NULL OR NOT isfinite(${double}) THEN NULL
    WHEN ${double} = trunc(${double}) AND abs(${double}) < 9007199254740992
      THEN (${cell}::BIGINT)::VARCHAR ELSE ${cell}::VARCHAR END`;
}
