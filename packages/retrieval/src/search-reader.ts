/**
 * Runs searches for requests that come at the same moment: those of one text go to the database as one
 * statement. Under load they share what a statement costs beside its walk through the index; alone, a request
 * waits for nobody.
 */
import type { Queryable } from '@nestrec/database';
import { DatabaseUnavailable, isError } from '@nestrec/errors';
import { joinedStatement, STATEMENT_COLUMN, type Statement } from '@nestrec/storage';
import type { Candidate } from './ranking.js';

export interface SearchReader {
  /** In no particular order. The server keeps the text's plan: for texts that are few. */
  read(statement: Statement): Promise<Candidate[]>;
}

/** Searches in one statement: they run one after the other there, so that many would wait for each other. */
const MAX_JOINED = 4;

interface Waiting {
  readonly statement: Statement;
  resolve(found: Candidate[]): void;
  reject(error: unknown): void;
}

interface FoundRow extends Record<string, unknown> {
  readonly item_id: string;
  readonly score: number | bigint;
}

export function createSearchReader(db: Queryable): SearchReader {
  let waiting = new Map<string, Waiting[]>();
  const sendAll = () => {
    const groups = waiting.values();
    waiting = new Map();
    for (const group of groups) {
      for (const part of evenParts(group, MAX_JOINED)) void send(db, part);
    }
  };
  return {
    read: (statement) =>
      new Promise((resolve, reject) => {
        // After all that this turn of the event loop brings.
        if (waiting.size === 0) setImmediate(sendAll);
        const group = waiting.get(statement.text) ?? [];
        waiting.set(statement.text, group);
        group.push({ statement, resolve, reject });
      }),
  };
}

/** Runs one search by itself. */
export async function readSearch(
  db: Queryable,
  { text, params }: Statement,
  options?: { readonly prepare: boolean },
): Promise<Candidate[]> {
  const { rows } = await db.query<FoundRow>(text, params, options);
  return rows.map(toCandidate);
}

async function send(db: Queryable, group: readonly Waiting[]): Promise<void> {
  if (group.length === 1) return sendAlone(db, group[0]!);
  try {
    const joined = joinedStatement(group.map(({ statement }) => statement));
    const { rows } = await db.query<FoundRow>(joined.text, joined.params, { prepare: true });
    const found = group.map((): Candidate[] => []);
    for (const row of rows) found[row[STATEMENT_COLUMN] as number]!.push(toCandidate(row));
    group.forEach(({ resolve }, position) => resolve(found[position]!));
  } catch (error) {
    if (isError(error, DatabaseUnavailable)) group.forEach(({ reject }) => reject(error));
    // Whose fault it is cannot be told: the others must not fail with it.
    else await Promise.all(group.map((one) => sendAlone(db, one)));
  }
}

async function sendAlone(db: Queryable, { statement, resolve, reject }: Waiting): Promise<void> {
  await readSearch(db, statement, { prepare: true }).then(resolve, reject);
}

const toCandidate = ({ item_id, score }: FoundRow): Candidate => ({
  itemId: item_id,
  score: Number(score),
});

/** As few parts of at most `most` as hold them all, of lengths that differ by one at most. */
function evenParts<T>(values: readonly T[], most: number): T[][] {
  const count = Math.ceil(values.length / most);
  return Array.from({ length: count }, (_, part) =>
    values.filter((_value, index) => index % count === part),
  );
}
