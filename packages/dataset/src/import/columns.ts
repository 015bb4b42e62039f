/**
 * Columns of a staged file and their mapping to our fields.
 *
 * Every format is staged as a table `raw(ord, line, ...)`: `ord` numbers all rows of the file from 1, bad
 * ones included; `line` is where the row begins. A column is known by SQL expressions over that table.
 */
import { excerpt, InvalidInput, UsageError } from '@nestrec/errors';
import { quoteName, type Staging } from './staging.js';
import type { ColumnMapping } from './types.js';

export type ColumnKind = 'text' | 'number' | 'timestamp' | 'list';

export interface SourceColumn {
  readonly name: string;
  /** The value as text; NULL or '' when there is none. A list is JSON. */
  readonly text: string;
  /** The value as the file has it. */
  readonly native: string;
  readonly kind: ColumnKind;
}

export interface StagedTable {
  readonly format: string;
  readonly columns: readonly SourceColumn[];
  /** Rows of the file: staged ones and those already rejected. */
  readonly read: number;
  readonly notes: readonly string[];
}

/** @throws InvalidInput when two names are equal, also when only letter case tells them apart. */
export function refuseEqualNames(names: readonly string[]): void {
  const seen = new Map<string, number>();
  names.forEach((name, at) => {
    const twin = seen.get(name.toLowerCase());
    if (twin !== undefined)
      throw new InvalidInput({
        detail:
          `Columns ${twin + 1} and ${at + 1} are both called ${excerpt(name)}` +
          `${names[twin] === name ? '' : ' but for letter case'}; wanted different names.`,
      });
    seen.set(name.toLowerCase(), at);
  });
}

export type ResolvedMapping = ReadonlyMap<string, SourceColumn>;

/**
 * Finds the column of every field: the mapped one, else the one with the field's own name.
 *
 * @param fields all fields there are, and whether each must be found.
 * @throws UsageError naming every fault at once, with the file's columns.
 */
export function resolveMapping(
  columns: readonly SourceColumn[],
  map: ColumnMapping,
  fields: Readonly<Record<string, boolean>>,
  allowsField: (field: string) => boolean = (field) => Object.hasOwn(fields, field),
): ResolvedMapping {
  const byName = new Map(columns.map((column) => [column.name, column]));
  const found = new Map<string, SourceColumn>();
  const faults: string[] = [];
  for (const [field, name] of Object.entries(map)) {
    const column = byName.get(name);
    if (!allowsField(field))
      faults.push(
        `--map names the field ${excerpt(field)}; known: ${Object.keys(fields).join(', ')}`,
      );
    else if (column === undefined)
      faults.push(`${field} is mapped to ${excerpt(name)}, which is absent`);
    else found.set(field, column);
  }
  for (const [field, required] of Object.entries(fields)) {
    if (found.has(field) || Object.hasOwn(map, field)) continue;
    const column = byName.get(field);
    if (column !== undefined) found.set(field, column);
    else if (required) faults.push(`${field} has no column; name one with --map ${field}=COLUMN`);
  }
  if (faults.length > 0)
    throw new UsageError({ detail: `${faults.join('; ')}. Columns: ${listNames(columns)}.` });
  return found;
}

export function listNames(columns: readonly SourceColumn[]): string {
  const names = columns.slice(0, 40).map((column) => excerpt(column.name));
  return names.join(', ') + (columns.length > 40 ? `, and ${columns.length - 40} more` : '');
}

const INTEGRAL_DOUBLE = String.raw`^-?[0-9]+\.0+$`;

/**
 * SQL for an id column. A table tool that met a missing value writes 17850 as 17850.0: when every value of
 * the column has that form, the ".0" goes. One other value, and all are kept as they are.
 */
export async function idExpression(
  staging: Staging,
  column: SourceColumn,
  notes: string[],
): Promise<string> {
  if (column.kind !== 'text') return column.text;
  const [row] = await staging.rows(
    `SELECT count(*)::DOUBLE, count(*) FILTER (WHERE NOT regexp_matches(${column.text}, '${INTEGRAL_DOUBLE}'))::DOUBLE
     FROM raw WHERE ${column.text} IS NOT NULL AND ${column.text} <> ''`,
  );
  if (Number(row![0]) === 0 || Number(row![1]) > 0) return column.text;
  notes.push(`All ids of column ${excerpt(column.name)} end in .0, which was taken off.`);
  return String.raw`regexp_replace(${column.text}, '\.0+$', '')`;
}

/** A view `source` with the file's own column names, numbers as numbers: what `--where` sees. */
export async function createSourceView(
  staging: Staging,
  columns: readonly SourceColumn[],
): Promise<void> {
  const selected: string[] = [];
  for (const column of columns) {
    const expression = column.kind === 'text' ? await typedText(staging, column) : column.native;
    selected.push(`${expression} AS ${quoteName(column.name)}`);
  }
  await staging.run(
    `CREATE VIEW source AS SELECT ord AS __nestrec_ord, ${selected.join(', ')} FROM raw`,
  );
}

async function typedText(staging: Staging, column: SourceColumn): Promise<string> {
  const value = `nullif(${column.text}, '')`;
  const [row] = await staging.rows(
    `SELECT bool_and(TRY_CAST(${value} AS BIGINT) IS NOT NULL AND NOT contains(${value}, '.')),
            bool_and(TRY_CAST(${value} AS DOUBLE) IS NOT NULL)
     FROM raw WHERE ${value} IS NOT NULL`,
  );
  if (row![0] === true) return `TRY_CAST(${value} AS BIGINT)`;
  return row![1] === true ? `TRY_CAST(${value} AS DOUBLE)` : value;
}
