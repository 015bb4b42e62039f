/**
 * A deliberately broken ingest: the product in everything, but the database lets a transaction sleep for
 * ever, so that a frozen process keeps its row locks.
 */
import pg from 'pg';

const TIMEOUT = /SET idle_in_transaction_session_timeout = \d+/;
const { prototype } = pg.Client;
const query = prototype.query as (...args: unknown[]) => unknown;

function queryWithoutTimeout(this: pg.Client, first: unknown, ...rest: unknown[]): unknown {
  const without = (text: string) =>
    text.replace(TIMEOUT, 'SET idle_in_transaction_session_timeout = 0');
  return query.call(this, typeof first === 'string' ? without(first) : first, ...rest);
}
prototype.query = queryWithoutTimeout as typeof prototype.query;

await import('../../../services/ingest/src/main.js');
