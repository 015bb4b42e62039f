/** A migrated database to clone: each test file gets its own in some 50 ms. */
import { randomBytes } from 'node:crypto';
import { migrate, openPostgres, type Database } from '@nestrec/database';

export const withDatabase = (url: string, name: string): string => {
  const address = new URL(url);
  address.pathname = `/${name}`;
  return address.href;
};

/** Names are made here from hexadecimal digits only, so they can stand in SQL. */
const newName = (purpose: string) => `nestrec_${purpose}_${randomBytes(6).toString('hex')}`;

/** One statement on the server's own database. Retries while a container is still starting. */
export async function administer(url: string, statement: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    try {
      const db = await openPostgres({
        url,
        max: 1,
        statementTimeoutMs: 60_000,
        allowUnsafeDurability: true,
      });
      await db.execute(statement).finally(() => db.close());
      return;
    } catch (error) {
      const retryable = (error as { code?: string }).code === 'database_unavailable';
      if (!retryable || Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

export interface CreatedDatabase {
  readonly name: string;
  readonly url: string;
  /** Fails while connections to it are open: a leaked pool is a failed test. */
  drop(): Promise<void>;
}

export async function createDatabase(url: string, template?: string): Promise<CreatedDatabase> {
  const name = newName(template === undefined ? 'template' : 'test');
  await administer(
    url,
    `CREATE DATABASE ${name} TEMPLATE ${template ?? 'template0'} ENCODING 'UTF8' LOCALE 'C'`,
  );
  return {
    name,
    url: withDatabase(url, name),
    drop: () => administer(url, `DROP DATABASE ${name}`),
  };
}

/** Creates and migrates the template. */
export async function createTemplate(url: string): Promise<CreatedDatabase> {
  const created = await createDatabase(url);
  const db: Database = await openPostgres({
    url: created.url,
    max: 2,
    allowUnsafeDurability: true,
  });
  try {
    await migrate(db);
  } finally {
    await db.close();
  }
  return created;
}
