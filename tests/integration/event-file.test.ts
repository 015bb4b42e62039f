/** Events in a file: nothing of it is left, however the process that reads it ends. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startSource } from '../helpers/source-child.js';

const CHILD = new URL('../helpers/event-file-child.ts', import.meta.url);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestrec-event-file-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it.skipIf(process.platform !== 'linux').each(['SIGKILL', 'SIGTERM'] as const)(
  '%s amid an epoch leaves no event file behind',
  async (signal) => {
    const child = startSource(CHILD, [folder]);
    // Items and times.
    await child.waitForLine(/^files 2$/m, 30_000);
    await child.waitForLine(/^batch of \d+$/m, 30_000);
    child.kill(signal);
    expect(await child.ended).toBeNull();
    expect(await readdir(folder)).toEqual([]);
  },
);
