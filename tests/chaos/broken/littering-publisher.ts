/**
 * A deliberately broken publisher: what it began and could not finish stays where it is. Tables of vectors are not
 * dropped, and an artifact is written where it is to be found, not aside.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Database, Queryable } from '@nestrec/database';
import { saveArtifact } from '@nestrec/registry';

const DROP = /^\s*DROP TABLE/;

/** The database, but for statements that drop a table. */
export function withoutDrops(db: Database): Database {
  const keeping = <T extends Queryable>(one: T): T =>
    new Proxy(one, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        if (name === 'transaction') {
          return (work: (tx: Queryable) => Promise<unknown>, ...rest: unknown[]) =>
            Reflect.apply(value, target, [
              (tx: Queryable) => work(keeping(tx)),
              ...rest,
            ]) as unknown;
        }
        return (...args: unknown[]) =>
          (name === 'query' || name === 'execute') && DROP.test(String(args[0]))
            ? Promise.resolve({ rows: [], rowCount: 0 })
            : (Reflect.apply(value, target, args) as unknown);
      },
    });
  return keeping(db);
}

export const saveInPlace: typeof saveArtifact = async (folder, draft) => {
  const aside = await mkdtemp(join(tmpdir(), 'nestrec-chaos-aside-'));
  try {
    const manifest = await saveArtifact(aside, draft);
    await cp(join(aside, manifest.version), join(folder, manifest.version), { recursive: true });
    return manifest;
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
};
