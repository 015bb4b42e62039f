/**
 * Where events go that are too many for memory: files in a folder, for as long as this process lives.
 *
 * A file loses its name as soon as it is open, so nothing is left of it however the process ends. It takes
 * disk space all the same, which `du` does not show.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidConfig, StagingFailed } from '@nestrec/errors';

/** 48 MB of items and times. */
export const EVENTS_IN_MEMORY = 4_000_000;

export interface SpillOptions {
  /** Made where it is missing. On disk: a folder in memory would defeat the purpose. */
  readonly folder: string;
  /** Up to so many events no file is made. Default 4,000,000. */
  readonly eventsInMemory?: number | undefined;
}

/** Whoever makes one closes it, once nothing reads its files any more. */
export class Spill {
  readonly folder: string;
  readonly eventsInMemory: number;
  private readonly descriptors: number[] = [];

  constructor({ folder, eventsInMemory = EVENTS_IN_MEMORY }: SpillOptions) {
    if (!Number.isInteger(eventsInMemory) || eventsInMemory < 0)
      throw new InvalidConfig({
        detail: `eventsInMemory is ${eventsInMemory}; wanted a whole number from 0.`,
      });
    this.folder = folder;
    this.eventsInMemory = eventsInMemory;
  }

  /** A new, empty file that has no name any more. @throws StagingFailed */
  openFile(): number {
    // The name is of the kind that `removeStaleTemporaries` clears: a kill can come before the unlink.
    const path = join(this.folder, `.events.${randomBytes(6).toString('hex')}.tmp`);
    try {
      mkdirSync(this.folder, { recursive: true });
      const descriptor = openSync(path, 'wx+', 0o600);
      this.descriptors.push(descriptor);
      unlinkSync(path);
      return descriptor;
    } catch (cause) {
      const reason = (cause as NodeJS.ErrnoException).code ?? 'no reason given';
      throw new StagingFailed({
        detail: `No event file can be made in ${this.folder} (${reason}); wanted a folder that this user may write.`,
        cause,
      });
    }
  }

  close(): void {
    for (const descriptor of this.descriptors.splice(0)) closeSync(descriptor);
  }
}
