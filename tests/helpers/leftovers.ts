/**
 * Servers of test runs that crashed. Each run writes down what it started and who it is; the next run ends
 * what has lost its owner, by recorded pid and start time, never by name.
 */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '@nestrec/runtime';
import { processStart, run } from './processes.js';

export interface RunningService {
  /** Main process of the service, or null for a container. */
  readonly pid: number | null;
  readonly container: string | null;
  /** Removed with the service. */
  readonly folder: string | null;
  /** What ends the main process: SIGQUIT (PostgreSQL's immediate shutdown) where nothing is said. */
  readonly endSignal?: 'SIGQUIT' | 'SIGKILL';
}

interface ServiceRecord extends RunningService {
  readonly pidStart: string | null;
  readonly owner: number;
  readonly ownerStart: string | null;
}

const alive = (pid: number, start: string | null) => start !== null && processStart(pid) === start;

/** Writes a service down; the returned function strikes it out again. */
export async function recordService(
  folder: string,
  name: string,
  service: RunningService,
): Promise<() => Promise<void>> {
  const path = join(folder, `${name}.json`);
  const record: ServiceRecord = {
    ...service,
    pidStart: service.pid === null ? null : processStart(service.pid),
    owner: process.pid,
    ownerStart: processStart(process.pid),
  };
  // Whole or not at all: runs that start meanwhile read every record.
  await writeFileAtomic(path, JSON.stringify(record));
  return () => rm(path, { force: true });
}

/** Ends services whose owner is gone; returns how many. */
export async function endLeftovers(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  let ended = 0;
  for (const name of names.filter((entry) => entry.endsWith('.json'))) {
    const path = join(folder, name);
    const text = await readFile(path, 'utf8').catch(() => null);
    if (text === null) continue;
    const record = JSON.parse(text) as ServiceRecord;
    if (alive(record.owner, record.ownerStart)) continue;
    await endService(record);
    await rm(path, { force: true });
    ended++;
  }
  return ended;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // Another run ended it at the same time.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function endService(record: ServiceRecord): Promise<void> {
  // PostgreSQL's children end with it at SIGQUIT, which SIGKILL would not do. A JVM takes SIGQUIT for a
  // question about its threads, and goes on.
  if (record.pid !== null && alive(record.pid, record.pidStart))
    signal(record.pid, record.endSignal ?? 'SIGQUIT');
  if (record.container !== null) {
    await run('docker', ['rm', '--force', record.container]).catch(() => undefined);
  }
  if (record.folder !== null)
    await rm(record.folder, { recursive: true, force: true, maxRetries: 20 });
}
