/** The event log that a command stands on, and whether rejects go on to a topic of dead letters. */
import { openEmbeddedLog, type EventLog } from '@nestrec/event-log';
import type { Platform } from './platform.js';

export interface PlatformLog {
  readonly log: EventLog;
  /** Topic that a forwarder sends rejects to; null where the table `rejects` is where they end. */
  readonly deadLetterTopic: string | null;
  close(): Promise<void>;
}

export async function openLogOf({ db, logger }: Platform): Promise<PlatformLog> {
  const log = openEmbeddedLog(db, { logger });
  return { log, deadLetterTopic: null, close: () => log.close() };
}
