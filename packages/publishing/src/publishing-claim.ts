/**
 * One at a time publishes, or clears up after publishes: the table of one that is at work looks like what a
 * killed one left. A rollback takes no claim; the pointer itself compares what it replaces.
 */
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, Hold } from '@nestrec/database';
import { PublishConflict } from '@nestrec/errors';

/** The claim's lock; see `Database.hold`. */
const PUBLISHING = 1;
const ASK_AGAIN_MS = 250;
/** Enough for a short publish, and for the database to notice that a killed one is gone. */
const DEFAULT_WAIT_MS = 5_000;

/**
 * Waits for whoever is at work.
 * @param what what the claim is for, as others are told: "publishes v2"
 * @throws PublishConflict, with who is at work, where that one takes longer
 */
export async function claimPublishing(
  db: Database,
  what: string,
  waitMs = DEFAULT_WAIT_MS,
): Promise<Hold> {
  const holder = `process ${process.pid} on ${hostname().slice(0, 20)} ${what}`.slice(0, 63);
  const untilMs = performance.now() + waitMs;
  for (;;) {
    const claim = await db.hold(PUBLISHING, holder);
    if (!('heldBy' in claim)) return claim;
    if (performance.now() >= untilMs) {
      throw new PublishConflict({
        detail: `${claim.heldBy}, and one at a time publishes or prunes; try again when that has ended`,
      });
    }
    await sleep(ASK_AGAIN_MS);
  }
}

/** @throws PublishConflict where another may have taken over: this process stood still, or lost its connection */
export function assertClaimed(claim: Hold): void {
  if (!claim.lost) return;
  throw new PublishConflict({
    detail:
      'the claim to publish was lost (this process stood still for 10 s, or its connection broke), ' +
      'and another publisher may be at work; publish again',
  });
}
