/** Stages CSV, TSV and RecBole atomic files: records of fields under a header. */
import { excerpt, InvalidInput } from '@nestrec/errors';
import { readBytes } from './byte-stream.js';
import { refuseEqualNames, type SourceColumn, type StagedTable } from './columns.js';
import { readRecords, type CsvRecord } from './csv-records.js';
import { readLines } from './lines.js';
import { appendReject } from './rejects.js';
import type { SourceFile } from './source-file.js';
import type { Staging } from './staging.js';
import type { ColumnMapping, ImportOptions, TableFormat } from './types.js';

const MAX_COLUMNS = 1_000;
const OTHER_DELIMITERS = [',', '\t', ';', '|'];
const PROGRESS_ROWS = 100_000;

/** @throws InvalidInput for a file without data, and for a header that cannot be used. */
export async function stageDelimited(
  staging: Staging,
  file: SourceFile,
  format: Extract<TableFormat, 'csv' | 'tsv' | 'recbole'>,
  options: ImportOptions,
): Promise<StagedTable> {
  const delimiter = options.delimiter ?? (format === 'csv' ? ',' : '\t');
  if (delimiter.length !== 1 || delimiter === '"' || delimiter === '\n')
    throw new InvalidInput({
      detail: `The delimiter is ${excerpt(delimiter)}; wanted one character.`,
    });
  const lines = readLines(readBytes(file, options.maxInflatedBytes));
  const records = readRecords(lines, { delimiter, quotes: format !== 'recbole' });
  let names: string[] | null = null;
  let read = 0;
  const rejects = await staging.appender('rejects');
  let raw: Awaited<ReturnType<Staging['appender']>> | null = null;
  for await (const batch of records) {
    for (const record of batch) {
      if (names === null) {
        names = namesOf(record, format, options, delimiter, file.path);
        await staging.run(
          `CREATE TABLE raw (ord BIGINT, line BIGINT, ${names.map((_, i) => `c${i} VARCHAR`).join(', ')})`,
        );
        raw = await staging.appender('raw');
        if (options.header !== false || format === 'recbole') continue;
      }
      read++;
      if (read % PROGRESS_ROWS === 0) options.onProgress?.(read);
      const fault = record.fault ?? wrongWidth(record, names.length);
      if (fault !== null)
        appendReject(rejects, { ord: read, line: record.line, ...fault, text: record.text });
      else raw!.append(BigInt(read), BigInt(record.line), ...record.fields);
    }
  }
  raw?.close();
  rejects.close();
  if (names === null || read === 0)
    throw new InvalidInput({
      detail: `${excerpt(file.path)} has ${names === null ? 'no line' : 'a header but no row'}.`,
    });
  return { format, columns: columnsOf(names), read, notes: [] };
}

function columnsOf(names: readonly string[]): SourceColumn[] {
  return names.map((name, i) => ({ name, text: `c${i}`, native: `c${i}`, kind: 'text' as const }));
}

function wrongWidth(record: CsvRecord, width: number): { reason: string; want: string } | null {
  if (record.fields.length === width) return null;
  return {
    reason: 'wrong_number_of_fields',
    want: `${width} fields as in the header, not ${record.fields.length}`,
  };
}

function namesOf(
  record: CsvRecord,
  format: string,
  options: ImportOptions,
  delimiter: string,
  path: string,
): string[] {
  if (record.fault !== null)
    throw new InvalidInput({
      detail: `The first line of ${excerpt(path)} is not a header: ${record.fault.reason}.`,
    });
  if (record.fields.length > MAX_COLUMNS)
    throw new InvalidInput({
      detail: `${excerpt(path)} has ${record.fields.length} columns; at most ${MAX_COLUMNS} are read.`,
    });
  if (options.header === false && format !== 'recbole')
    return record.fields.map((_, i) => `column${i + 1}`);
  const names = record.fields.map((name) =>
    format === 'recbole' ? recboleName(name, path) : name.trim(),
  );
  const nameless = names.indexOf('');
  if (nameless !== -1 && !(nameless === 0 && names.length > 1))
    throw new InvalidInput({ detail: `Column ${nameless + 1} of ${excerpt(path)} has no name.` });
  // A table tool writes its row numbers under an empty first name.
  if (nameless === 0) names[0] = 'column1';
  refuseEqualNames(names);
  requireDelimiter(names, record.text, delimiter, options.map ?? {});
  return names;
}

/** RecBole's `name:type`. */
function recboleName(field: string, path: string): string {
  const match = /^([^:]+):(token|token_seq|float|float_seq)$/.exec(field.trim());
  if (match === null)
    throw new InvalidInput({
      detail:
        `The header of ${excerpt(path)} has ${excerpt(field)}; wanted name:type with type token, ` +
        'token_seq, float or float_seq, separated by tabs.',
    });
  return match[1]!;
}

/** A header that is one name here, but splits elsewhere into the wanted ones, has another delimiter. */
function requireDelimiter(
  names: readonly string[],
  header: string,
  delimiter: string,
  map: ColumnMapping,
): void {
  if (names.length > 1) return;
  for (const other of OTHER_DELIMITERS) {
    const split = header.split(other).map((name) => name.trim().replace(/^"|"$/g, ''));
    if (other === delimiter || split.length === 1) continue;
    const wanted = Object.values(map).filter((name) => split.includes(name)).length;
    throw new InvalidInput({
      detail:
        `The header has one column with ${JSON.stringify(delimiter)} as delimiter, but ${split.length} ` +
        `with ${JSON.stringify(other)}${wanted > 0 ? `, ${wanted} of them mapped` : ''}; ` +
        `pass --delimiter ${JSON.stringify(other)}.`,
    });
  }
}
