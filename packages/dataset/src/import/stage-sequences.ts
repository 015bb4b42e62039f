/** Stages `user item item ...` files, oldest first, with an optional file of the same lines holding times. */
import { excerpt, InvalidInput } from '@nestrec/errors';
import { readBytes } from './byte-stream.js';
import type { StagedTable } from './columns.js';
import { readLines, wantedInsteadOf, type Line } from './lines.js';
import { appendReject } from './rejects.js';
import type { SourceFile } from './source-file.js';
import type { Staging } from './staging.js';
import type { ImportOptions } from './types.js';

/** A million events of one user are one line of some 8 MB. */
const MAX_SEQUENCE_BYTES = 32 * 2 ** 20;
const PROGRESS_EVENTS = 1_000_000;

interface Sequence {
  readonly line: Line;
  readonly user: string;
  readonly values: readonly string[];
}

/** `read` counts events; a line without any counts as one (bad) row. */
export async function stageSequences(
  staging: Staging,
  file: SourceFile,
  timesFile: SourceFile | null,
  options: ImportOptions,
): Promise<StagedTable> {
  await staging.run(
    'CREATE TABLE raw (ord BIGINT, line BIGINT, c0 VARCHAR, c1 VARCHAR, c2 VARCHAR)',
  );
  const raw = await staging.appender('raw');
  const rejects = await staging.appender('rejects');
  const times = timesFile === null ? null : sequencesOf(timesFile, options)[Symbol.asyncIterator]();
  let read = 0;
  for await (const sequence of sequencesOf(file, options)) {
    const stamps = times === null ? null : ((await times.next()).value as Sequence | undefined);
    const fault = judge(sequence, stamps);
    if (fault !== null) {
      const text = fault.ofTimes ? (stamps?.line.text ?? '') : sequence.line.text;
      for (let i = 0; i < Math.max(1, sequence.values.length); i++)
        appendReject(rejects, { ord: ++read, line: sequence.line.number, ...fault, text });
      continue;
    }
    sequence.values.forEach((item, i) => {
      if (++read % PROGRESS_EVENTS === 0) options.onProgress?.(read);
      raw.append(
        BigInt(read),
        BigInt(sequence.line.number),
        sequence.user,
        item,
        stamps?.values[i] ?? null,
      );
    });
  }
  if (times !== null && (await times.next()).done !== true)
    throw new InvalidInput({
      detail: `${excerpt(timesFile!.path)} has more lines than ${excerpt(file.path)}; wanted the same lines.`,
    });
  raw.close();
  rejects.close();
  if (read === 0) throw new InvalidInput({ detail: `${excerpt(file.path)} has no line.` });
  const column = (name: string, cell: string) =>
    ({ name, text: cell, native: cell, kind: 'text' }) as const;
  const columns = [column('user_id', 'c0'), column('item_id', 'c1')];
  return {
    format: 'sequences',
    columns: times === null ? columns : [...columns, column('timestamp', 'c2')],
    read,
    notes: [],
  };
}

async function* sequencesOf(
  file: SourceFile,
  options: ImportOptions,
): AsyncGenerator<Sequence, void, undefined> {
  const bytes = readBytes(file, options.maxInflatedBytes);
  for await (const batch of readLines(bytes, MAX_SEQUENCE_BYTES)) {
    for (const line of batch) {
      const [user = '', ...values] = line.text.trim().split(/[ \t]+/);
      if (line.fault === null && user === '') continue;
      yield { line, user, values };
    }
  }
}

/** `stamps` is null without a times file, undefined when that file has ended too early. */
function judge(
  sequence: Sequence,
  stamps: Sequence | null | undefined,
): { reason: string; want: string; ofTimes?: boolean } | null {
  const { line, user, values } = sequence;
  if (line.fault !== null) return { reason: line.fault, want: wantedInsteadOf(line.fault) };
  if (values.length === 0) return { reason: 'no_items', want: 'a user and at least one item' };
  if (stamps === null) return null;
  const bad = (want: string) => ({ reason: 'times_do_not_match', want, ofTimes: true });
  if (stamps === undefined) return bad('a line of times for every line of items');
  if (stamps.line.fault !== null) return bad(wantedInsteadOf(stamps.line.fault));
  if (stamps.user !== user) return bad(`the times of user ${excerpt(user)}`);
  if (stamps.values.length !== values.length)
    return bad(`${values.length} times, not ${stamps.values.length}`);
  return null;
}
