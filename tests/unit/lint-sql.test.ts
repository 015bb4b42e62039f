/** The lint rule that keeps data out of statements (reliability.md D6) refuses what it is there for. */
import { ESLint } from 'eslint';
import { expect, it } from 'vitest';

const eslint = new ESLint();

/** How many faults of that rule a statement has in a source file. */
async function faultsOf(statement: string): Promise<number> {
  const code = `export const f = (db, name, TABLE, table) => db.query(${statement}, [name]);\n`;
  const [result] = await eslint.lintText(code, { filePath: 'packages/storage/src/keys.ts' });
  return result!.messages.filter(({ ruleId }) => ruleId === 'no-restricted-syntax').length;
}

it('statements may hold constants and tables, and no data, neither in braces nor by a sum', async () => {
  const refused = ['`SELECT ${name}`', '`SELECT ${name.trim()} FROM ${TABLE}`', "'SELECT ' + name"];
  for (const statement of refused)
    expect([statement, await faultsOf(statement)]).toEqual([statement, 1]);
  const allowed = [
    '`SELECT $1`',
    "'SELECT $1'",
    '`SELECT 1 FROM ${TABLE}`',
    '`SELECT 1 FROM ${table}`',
  ];
  for (const statement of allowed)
    expect([statement, await faultsOf(statement)]).toEqual([statement, 0]);
});
