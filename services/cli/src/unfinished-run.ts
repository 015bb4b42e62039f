/**
 * Which training was killed: a small file beside the checkpoints, written before a run and removed after
 * it. The same command, given again, finds it and goes on under the version that the killed run had.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomic } from '@nestrec/runtime';
import { z } from 'zod';

const ENDING = '.run.json';

const recordSchema = z.strictObject({
  version: z.string(),
  /** What the run was asked for, as text: equal only for the same command. */
  request: z.string(),
  pid: z.number().int(),
  host: z.string(),
});

/** Notes that a run begins. */
export async function recordRun(folder: string, version: string, request: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const record = { version, request, pid: process.pid, host: hostname() };
  await writeFileAtomic(join(folder, version + ENDING), `${JSON.stringify(record)}\n`);
}

/** Forgets a run that ended, well or not. */
export async function forgetRun(folder: string, version: string): Promise<void> {
  await rm(join(folder, version + ENDING), { force: true });
}

/** The version of the newest run of `request` (or of `version`) whose process is gone, or null. */
export async function findKilledRun(
  folder: string,
  request: string,
  version?: string,
): Promise<string | null> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(ENDING));
  for (const name of names.sort().reverse()) {
    const record = await readRecord(join(folder, name));
    if (record === null || record.request !== request || record.host !== hostname()) continue;
    if (version !== undefined && record.version !== version) continue;
    if (!isAlive(record.pid)) return record.version;
  }
  return null;
}

async function readRecord(path: string): Promise<z.infer<typeof recordSchema> | null> {
  try {
    return recordSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    // Not ours to judge: a run that cannot be read is a run that is not continued.
    return null;
  }
}

function isAlive(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
