/**
 * A deliberately broken API: the product in everything, but nobody listens to errors of the connection pool,
 * as in every program that forgets to. Node ends a process on such an error.
 */
import pg from 'pg';

const { prototype } = pg.Pool;
const on = prototype.on as (event: string, listener: () => void) => pg.Pool;

function onButErrors(this: pg.Pool, event: string, listener: () => void): pg.Pool {
  return event === 'error' ? this : on.call(this, event, listener);
}
prototype.on = onButErrors as typeof prototype.on;

await import('../../../services/api/src/main.js');
