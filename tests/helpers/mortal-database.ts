/**
 * A database as a process sees it that is killed: after a given number of steps nothing it asks for is done
 * any more. Steps are statements and commits. A transaction that was open is rolled back, as the server
 * does when its client is gone.
 */
import type { Database, Queryable } from '@nestrec/database';
import { InternalError } from '@nestrec/errors';

export interface MortalDatabase extends Database {
  /** Steps taken so far. */
  readonly steps: number;
  readonly dead: boolean;
}

export function mortalDatabase(db: Database, diesAfter: number): MortalDatabase {
  let steps = 0;
  const dead = () => steps >= diesAfter;
  const gone = () => new InternalError({ detail: 'the process was killed' });
  const step = async <T>(act: () => Promise<T>): Promise<T> => {
    if (dead()) throw gone();
    const result = await act();
    steps += 1;
    if (dead()) throw gone();
    return result;
  };
  const mortal = (inner: Queryable): Queryable => ({
    query: (text, params) => step(() => inner.query(text, params)),
    execute: (script) => step(() => inner.execute(script)),
  });
  return {
    ...mortal(db),
    kind: db.kind,
    description: db.description,
    get steps() {
      return steps;
    },
    get dead() {
      return dead();
    },
    transaction: (work, options) => step(() => db.transaction((tx) => work(mortal(tx)), options)),
    listen: (channel, onMessage) => db.listen(channel, onMessage),
    unlimited: (statements) => step(() => db.unlimited(statements)),
    hold: (lock, holder) => db.hold(lock, holder),
    close: () => db.close(),
  };
}
