/**
 * LISTEN on a connection of its own, made again for ever. Not one of the pool's: those are given back after
 * each statement, and whatever they would hear then is lost.
 */
import pg from 'pg';
import type { Logger } from '@nestrec/runtime';
import { quoteChannel } from './channel.js';
import { mapDatabaseError } from './errors.js';
import type { Listening } from './types.js';

export interface ListenerOptions {
  readonly url: string;
  readonly applicationName: string;
  readonly connectionTimeoutMs: number;
  readonly logger: Logger;
}

/** Pauses between tries: doubled from the first to the last. */
const FIRST_PAUSE_MS = 100;
const LAST_PAUSE_MS = 10_000;

/** Begins to listen; see `Database.listen`. */
export function listenOnPostgres(
  options: ListenerOptions,
  channel: string,
  onMessage: (payload: string | null) => void,
): Listening {
  const { logger } = options;
  const statement = `LISTEN ${quoteChannel(channel)}`;
  const stopped = new AbortController();
  let client: pg.Client | null = null;

  /** Listens until the connection is lost; rejects with why. */
  const listenOnce = async (heard: () => void): Promise<never> => {
    client = new pg.Client({
      connectionString: options.url,
      connectionTimeoutMillis: options.connectionTimeoutMs,
      // A peer that vanished without a word is noticed in about 20 s.
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      application_name: `${options.applicationName}-listen`,
    });
    const one = client;
    const lost = new Promise<never>((_, reject) => {
      one.on('error', reject);
      one.on('end', () => reject(new Error('Connection terminated')));
    });
    // It may be lost while we still wait for something else of it.
    lost.catch(() => undefined);
    one.on('notification', ({ payload }) => {
      if (!stopped.signal.aborted) onMessage(payload ?? '');
    });
    try {
      await one.connect();
      await one.query(statement);
      heard();
      return await lost;
    } finally {
      await one.end().catch(() => undefined);
    }
  };

  const run = async () => {
    let pauseMs = FIRST_PAUSE_MS;
    let told = false;
    while (!stopped.signal.aborted) {
      try {
        await listenOnce(() => {
          if (told) logger.info({ channel }, 'listening to the database again');
          told = false;
          pauseMs = FIRST_PAUSE_MS;
          if (!stopped.signal.aborted) onMessage(null);
        });
      } catch (error) {
        if (stopped.signal.aborted) return;
        if (!told) {
          const reason = mapDatabaseError(error).detail;
          logger.warn({ channel, reason }, 'not listening to the database; trying again');
        }
        told = true;
      }
      await pause(pauseMs, stopped.signal);
      pauseMs = Math.min(LAST_PAUSE_MS, 2 * pauseMs);
    }
  };
  const running = run();
  return {
    stop: async () => {
      stopped.abort();
      await client?.end().catch(() => undefined);
      await running;
    },
  };
}

/** Keeps no process alive: a pause ends with the process or with the signal. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    timer.unref();
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}
