/**
 * Several statements of one text as one, for readers that come at the same moment: they share the round trip
 * and what a statement costs by itself. Each keeps its own parameters; nothing else of it changes.
 */
import { isVector } from '@nestrec/database';
import { InternalError } from '@nestrec/errors';
import { sqlParameters, type Statement } from './sql-parameters.js';

/** Of the column that says whose a row is: the position of its statement, from 0. */
export const STATEMENT_COLUMN = 'statement';

/**
 * Its rows are those of the statements, in no particular order between two of them, each with the position of
 * its own beside its columns.
 * @param statements of equal text, with parameters that are texts, lists of texts or vectors; at least one
 */
export function joinedStatement(statements: readonly Statement[]): Statement {
  const [first] = statements;
  const parameters = sqlParameters();
  const rows = statements.map(({ params }, position) => {
    const values = params.map((value) => `${parameters.add(value)}::${typeOf(value)}`);
    return `(${[position, ...values].join(', ')})`;
  });
  const columns = first!.params.map((_, index) => `p${index + 1}`);
  // A subquery of its own for each, so that an index is walked in order of each one's vector.
  const one = first!.text.replace(/\$(\d+)/g, 'j.p$1');
  return {
    text: `SELECT j.${STATEMENT_COLUMN}, r.* FROM (VALUES ${rows.join(', ')})
        AS j (${[STATEMENT_COLUMN, ...columns].join(', ')}), LATERAL (${one}) r`,
    params: parameters.values,
  };
}

function typeOf(value: unknown): string {
  if (isVector(value)) return 'vector';
  if (typeof value === 'string') return 'text';
  if (Array.isArray(value)) return 'text[]';
  throw new InternalError({ detail: `a ${typeof value} is no parameter of a joined statement` });
}
