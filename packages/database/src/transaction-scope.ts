/**
 * Finds the mistake that otherwise hangs for ever: using the database itself inside one of its own
 * transactions. On PGlite the inner statement waits for the transaction that waits for it; on a pool the
 * same happens once every connection is taken.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { InternalError } from '@nestrec/errors';
import type { Queryable } from './types.js';

interface Scope {
  open: boolean;
}

export interface TransactionScope {
  /** Throws when the caller runs inside an open transaction of this database. */
  assertOutside(): void;
  /**
   * Runs `work` with a `tx` that dies with it; rejects with the first failed statement's error even
   * when `work` swallowed it.
   */
  run<T>(inner: Queryable, work: (tx: Queryable) => Promise<T>): Promise<T>;
}

export function createTransactionScope(): TransactionScope {
  const storage = new AsyncLocalStorage<Scope>();
  return {
    assertOutside: () => {
      if (storage.getStore()?.open) {
        throw new InternalError({
          detail: 'the database was used inside its own transaction; use the tx it was given',
        });
      }
    },
    run: async (inner, work) => {
      const scope: Scope = { open: true };
      let failure: { error: unknown } | null = null;
      const guarded = async <R>(call: () => Promise<R>): Promise<R> => {
        if (!scope.open) {
          throw new InternalError({
            detail: 'the transaction is over; await every statement in it',
          });
        }
        try {
          return await call();
        } catch (error) {
          failure ??= { error };
          throw error;
        }
      };
      const tx: Queryable = {
        query: (text, params) => guarded(() => inner.query(text, params)),
        execute: (script) => guarded(() => inner.execute(script)),
      };
      try {
        const result = await storage.run(scope, () => work(tx));
        if (failure !== null) throw (failure as { error: unknown }).error;
        return result;
      } finally {
        scope.open = false;
      }
    },
  };
}
