/**
 * The `--where` text: one SQL expression over one row, and nothing else.
 *
 * DuckDB's own parser judges it, so that no list of forbidden words has to be right; it runs only after
 * the staging database has been locked down.
 */
import { excerpt, NestrecError, UsageError } from '@nestrec/errors';
import { listNames, type SourceColumn } from './columns.js';
import { quoteName, type Staging } from './staging.js';

const WHERE_EXAMPLE = `such as "Quantity > 0 AND CustomerID IS NOT NULL"`;

/** @throws UsageError when the text is not exactly one expression over the row's columns. */
export async function checkWhere(staging: Staging, where: string): Promise<void> {
  const refuse = (why: string): never => {
    throw new UsageError({
      detail: `--where ${excerpt(where)}: ${why}; wanted one SQL condition, ${WHERE_EXAMPLE}.`,
    });
  };
  if (where.trim() === '') refuse('is empty');
  const parsed = await serialised(staging, where);
  if (parsed.error === true) return refuse(String(parsed.error_message));
  const plain = await serialised(staging, 'TRUE');
  const [statement, plainStatement] = [nodeOf(parsed), nodeOf(plain)];
  if (statement === null || plainStatement === null) return refuse('is more than one condition');
  const condition = statement.where_clause;
  delete statement.where_clause;
  delete plainStatement.where_clause;
  if (JSON.stringify(statement) !== JSON.stringify(plainStatement))
    refuse('is more than one condition');
  const text = JSON.stringify(condition);
  if (text.includes('"class":"SUBQUERY"')) refuse('has a subquery');
  if (text.includes('"class":"WINDOW"')) refuse('has a window function');
}

interface Serialised {
  readonly error: boolean;
  readonly error_message?: string;
  readonly statements?: readonly { readonly node?: Record<string, unknown> }[];
}

/** The newline ends a comment in the text, which would swallow the parenthesis. */
async function serialised(staging: Staging, where: string): Promise<Serialised> {
  const [row] = await staging.rows('SELECT json_serialize_sql($1::VARCHAR)', [
    `SELECT 1 FROM source WHERE (${where}\n)`,
  ]);
  return JSON.parse(String(row![0])) as Serialised;
}

function nodeOf(parsed: Serialised): Record<string, unknown> | null {
  return parsed.statements?.length === 1 ? (parsed.statements[0]!.node ?? null) : null;
}

/**
 * Makes the table `wanted(ord)` of rows for which the condition is true.
 *
 * @throws UsageError when the condition does not fit the file (unknown column, types).
 */
export async function applyWhere(
  staging: Staging,
  where: string,
  columns: readonly SourceColumn[],
): Promise<void> {
  try {
    await staging.run(
      `CREATE TABLE wanted AS SELECT __nestrec_ord AS ord FROM source WHERE (${where}\n)`,
    );
  } catch (error) {
    const cause = error instanceof NestrecError ? error.cause : error;
    const message = (cause as Error).message.split('\n')[0]!;
    if (
      !/^(Binder|Conversion|Invalid Input|Catalog|Permission|Invalid type|Out of Range)/i.test(
        message,
      )
    )
      throw error;
    throw new UsageError({
      detail: `--where ${excerpt(where)}: ${message}. Columns: ${listNames(columns)}.`,
      cause,
    });
  }
}

/** The columns whose names stand in the text: a superset of those that it reads. */
export function columnsNamedIn(where: string, names: readonly string[]): Set<string> {
  const text = where.toLowerCase();
  return new Set(
    names.filter(
      (name) => text.includes(name.toLowerCase()) || text.includes(quoteName(name).toLowerCase()),
    ),
  );
}
