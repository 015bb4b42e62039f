/**
 * A database that another process of ours holds: the embedded one belongs to one process, and a training beside
 * it asks that process over its channel. Both ends stand here. Not a server for anybody else.
 *
 * Values go as the channel's structured clone; a transaction is one of the holder's, for as long as the other
 * end keeps it open, and is rolled back when the other end is gone.
 */
import { DatabaseUnavailable, errorCatalogue, InternalError, NestrecError } from '@nestrec/errors';
import { sqlState } from './errors.js';
import { createTransactionScope } from './transaction-scope.js';
import type { Database, Hold, Queryable, QueryResult, Row } from './types.js';
import { encodeParameters } from './values.js';

/** What is asked; `tx` names the transaction, absent: outside of any. */
type Request = { readonly id: number; readonly tx?: number } & (
  | { readonly op: 'query'; readonly text: string; readonly params: readonly unknown[] }
  | { readonly op: 'execute'; readonly text: string }
  | { readonly op: 'begin' | 'commit' | 'rollback' }
  | { readonly op: 'hold'; readonly lock: number; readonly holder: string }
  | { readonly op: 'release'; readonly hold: number }
);

interface Answer {
  readonly id: number;
  readonly value?: QueryResult | number | string | null;
  readonly error?: { readonly code: string; readonly detail: string; readonly sqlState?: string };
}

export interface DatabaseServer {
  /** Takes a message of the other end. */
  take(message: unknown): void;
  /** Rolls back what is open, and gives held locks back. The database itself stays. */
  close(): Promise<void>;
}

interface OpenTransaction {
  readonly tx: Queryable;
  readonly end: (how: 'commit' | 'rollback') => void;
  readonly ended: Promise<void>;
}

class RolledBack extends Error {}

/** The holder's end. */
export function serveDatabase(db: Database, post: (message: unknown) => void): DatabaseServer {
  const open = new Map<number, OpenTransaction>();
  const holds = new Map<number, Hold>();
  let closed = false;
  let next = 1;
  const begin = () =>
    new Promise<number>((resolve, reject) => {
      const name = next++;
      const ended = db.transaction(
        (tx) =>
          new Promise<void>((commit, rollback) => {
            const end = (how: 'commit' | 'rollback') =>
              how === 'commit' ? commit() : rollback(new RolledBack());
            open.set(name, { tx, end, ended });
            resolve(name);
          }),
      );
      ended.catch(reject);
    });
  const end = async (name: number, how: 'commit' | 'rollback') => {
    const { end: finish, ended } = transaction(name);
    open.delete(name);
    finish(how);
    await ended.catch((error: unknown) => {
      if (!(error instanceof RolledBack)) throw error;
    });
  };
  const transaction = (name: number): OpenTransaction => {
    const found = open.get(name);
    if (found === undefined) throw new InternalError({ detail: 'the transaction is over' });
    return found;
  };
  /** Its name, or who holds it. */
  const hold = async (lock: number, holder: string): Promise<number | string> => {
    const held = await db.hold(lock, holder);
    if ('heldBy' in held) return held.heldBy;
    // The other end may have gone meanwhile.
    if (closed) await held.release();
    const name = next++;
    holds.set(name, held);
    return name;
  };
  const release = async (name: number) => {
    const held = holds.get(name);
    holds.delete(name);
    await held?.release();
  };
  const answer = async (request: Request): Promise<Answer['value']> => {
    if (request.op === 'begin') return begin();
    if (request.op === 'hold') return hold(request.lock, request.holder);
    if (request.op === 'release') {
      await release(request.hold);
      return null;
    }
    const on: Queryable = request.tx === undefined ? db : transaction(request.tx).tx;
    if (request.op === 'query') return on.query(request.text, request.params);
    if (request.op === 'execute') await on.execute(request.text);
    else await end(request.tx!, request.op);
    return null;
  };
  return {
    take: (message) => {
      const request = message as Request;
      answer(request).then(
        (value) => post({ id: request.id, value }),
        (error: unknown) => post({ id: request.id, error: toPlain(error) }),
      );
    },
    close: async () => {
      closed = true;
      for (const name of [...holds.keys()]) await release(name);
      for (const name of [...open.keys()]) await end(name, 'rollback').catch(() => undefined);
    },
  };
}

export interface DatabaseChannel {
  post(message: unknown): void;
  /** Says who takes what comes from the holder. */
  onMessage(take: (message: unknown) => void): void;
}

/** The other end: the holder's embedded database, for a process that may not open it. */
export function openRemoteDatabase(channel: DatabaseChannel): Database {
  const waiting = new Map<
    number,
    { resolve: (value: Answer['value']) => void; reject: (error: unknown) => void }
  >();
  let next = 1;
  channel.onMessage((message) => {
    const { id, value, error } = message as Answer;
    const one = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) one?.resolve(value);
    else one?.reject(fromPlain(error));
  });
  let closed = false;
  const ask = (request: object): Promise<Answer['value']> => {
    if (closed) throw new DatabaseUnavailable({ detail: 'the database is closed' });
    return new Promise((resolve, reject) => {
      const id = next++;
      waiting.set(id, { resolve, reject });
      channel.post({ id, ...request });
    });
  };
  const queryable = (tx?: number): Queryable => {
    const of = tx === undefined ? {} : { tx };
    return {
      query: async <R extends Row>(text: string, params?: readonly unknown[]) => {
        const request = { op: 'query', text, params: encodeParameters(params), ...of };
        return (await ask(request)) as QueryResult<R>;
      },
      execute: async (text) => {
        await ask({ op: 'execute', text, ...of });
      },
    };
  };
  const scope = createTransactionScope();
  const outside = queryable();
  return {
    kind: 'pglite',
    description: 'the embedded database of the parent process',
    query: async (text, params) => {
      scope.assertOutside();
      return outside.query(text, params);
    },
    execute: async (script) => {
      scope.assertOutside();
      return outside.execute(script);
    },
    transaction: async (work) => {
      scope.assertOutside();
      const tx = (await ask({ op: 'begin' })) as number;
      try {
        const result = await scope.run(queryable(tx), work);
        await ask({ op: 'commit', tx });
        return result;
      } catch (error) {
        await ask({ op: 'rollback', tx }).catch(() => undefined);
        throw error;
      }
    },
    listen: () => {
      throw new InternalError({
        detail: 'a process that borrows the database does not listen to it; its holder does',
      });
    },
    unlimited: async (statements) => {
      scope.assertOutside();
      for (const statement of statements) await outside.query(statement);
    },
    hold: async (lock, holder) => {
      const held = await ask({ op: 'hold', lock, holder });
      if (typeof held === 'string') return { heldBy: held };
      return {
        lost: false,
        release: async () => {
          if (!closed) await ask({ op: 'release', hold: held });
        },
      };
    },
    close: () => {
      closed = true;
      return Promise.resolve();
    },
  };
}

function toPlain(error: unknown): Answer['error'] {
  const state = sqlState(error);
  return {
    code: error instanceof NestrecError ? error.code : InternalError.code,
    detail: error instanceof NestrecError ? (error.detail ?? '') : String(error),
    ...(state !== undefined && { sqlState: state }),
  };
}

/** As if it had been raised here; callers branch on code and SQLSTATE. */
function fromPlain({ code, detail, sqlState: state }: NonNullable<Answer['error']>): NestrecError {
  const known = errorCatalogue.find((entry) => entry.code === code) ?? InternalError;
  const cause = state === undefined ? {} : { cause: Object.assign(new Error(), { code: state }) };
  return new NestrecError(known.code, known.traits, { detail, ...cause });
}
