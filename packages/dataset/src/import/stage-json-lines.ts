/**
 * Stages JSON Lines: one object a line; the keys of all lines are the columns. Where a line has a key
 * twice, the first counts.
 */
import { excerpt, InvalidInput } from '@nestrec/errors';
import { readBytes } from './byte-stream.js';
import { refuseEqualNames, type SourceColumn, type StagedTable } from './columns.js';
import { readLines, wantedInsteadOf, type Line } from './lines.js';
import { appendReject } from './rejects.js';
import type { SourceFile } from './source-file.js';
import { quoteText, type Staging } from './staging.js';
import type { ImportOptions } from './types.js';

const MAX_KEYS = 1_000;
const PROGRESS_ROWS = 100_000;
const WANT = 'one JSON object a line';

/** @throws InvalidInput for a file without data, and for a JSON document that is not JSON Lines. */
export async function stageJsonLines(
  staging: Staging,
  file: SourceFile,
  options: ImportOptions,
): Promise<StagedTable> {
  await staging.run('CREATE TABLE raw (ord BIGINT, line BIGINT, doc VARCHAR)');
  const raw = await staging.appender('raw');
  const rejects = await staging.appender('rejects');
  const keys = new Set<string>();
  let read = 0;
  for await (const batch of readLines(readBytes(file, options.maxInflatedBytes))) {
    for (const line of batch) {
      if (line.fault === null && line.text.trim() === '') continue;
      read++;
      if (read % PROGRESS_ROWS === 0) options.onProgress?.(read);
      if (read === 1) refuseArray(line, file.path);
      const fault = judge(line, keys);
      if (fault !== null)
        appendReject(rejects, { ord: read, line: line.number, ...fault, text: line.text });
      else raw.append(BigInt(read), BigInt(line.number), line.text);
    }
  }
  raw.close();
  rejects.close();
  if (read === 0) throw new InvalidInput({ detail: `${excerpt(file.path)} has no line.` });
  await rejectWhatDuckDbRefuses(staging);
  refuseEqualNames([...keys]);
  return { format: 'jsonl', columns: [...keys].map(columnOf), read, notes: [] };
}

function refuseArray(line: Line, path: string): void {
  if (line.text.trimStart().startsWith('['))
    throw new InvalidInput({
      detail: `${excerpt(path)} begins with an array; wanted ${WANT} (jq -c '.[]' FILE > NEW.jsonl).`,
    });
}

/** Notes the line's keys, or says what is wrong with it. */
function judge(line: Line, keys: Set<string>): { reason: string; want: string } | null {
  if (line.fault !== null) return { reason: line.fault, want: wantedInsteadOf(line.fault) };
  let value: unknown;
  try {
    value = JSON.parse(line.text);
  } catch {
    return { reason: 'invalid_json', want: WANT };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { reason: 'not_an_object', want: WANT };
  for (const key of Object.keys(value)) {
    if (key === '' || keys.has(key)) continue;
    if (keys.size >= MAX_KEYS)
      throw new InvalidInput({
        detail: `The objects have more than ${MAX_KEYS} different keys; wanted a table.`,
      });
    keys.add(key);
  }
  return null;
}

/** Where the two JSON parsers disagree (lone surrogates, say), the stricter one wins. */
async function rejectWhatDuckDbRefuses(staging: Staging): Promise<void> {
  await staging.run(
    `INSERT INTO rejects SELECT ord, line, NULL, 'invalid_json', left(doc, 65), ${quoteText(WANT)},
       to_json(left(doc, 65536))::VARCHAR FROM raw WHERE NOT json_valid(doc)`,
  );
  await staging.run('DELETE FROM raw WHERE NOT json_valid(doc)');
}

function columnOf(name: string): SourceColumn {
  const pointer = quoteText(`/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`);
  const text = `json_extract_string(doc, ${pointer})`;
  return { name, text, native: text, kind: 'text' };
}
