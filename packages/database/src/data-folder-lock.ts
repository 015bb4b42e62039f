/**
 * One process per embedded data folder: two PGlite instances on one folder corrupt it.
 *
 * The lock is a file beside the folder that names its holder (pid, host, start). It appears by link(2), so
 * it is never half written. A holder that died (kill -9, reboot, a pid that now belongs to somebody else)
 * loses the lock to the next comer at once; a holder on another host, whose processes cannot be seen
 * from here, loses it when its heartbeat has stopped for a minute.
 */
import { randomUUID } from 'node:crypto';
import {
  link,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { DataFolderInUse, excerpt } from '@nestrec/errors';

const HEARTBEAT_MS = 10_000;
const SILENT_MS = 60_000;
const MAX_ATTEMPTS = 100;
/** Ends with the token of the comer that wrote it. */
const LEFTOVER = /\.[0-9a-f]{8}-[0-9a-f-]{27}$/;

interface Holder {
  readonly token: string;
  readonly pid: number;
  readonly host: string;
  readonly startedAt: string;
  /** Distinguishes a process from a later one with its pid; null where the system does not tell. */
  readonly incarnation: string | null;
}

export interface DataFolderLock {
  readonly path: string;
  release(): Promise<void>;
}

/** States of /proc/PID/stat in which a process holds nothing any more: zombie (killed, not yet waited for), dead. */
const GONE = new Set(['Z', 'X', 'x']);
const GONE_INCARNATION = 'gone';

/** Boot id and start tick of a process (Linux); `gone` for one that only its entry is left of; else null. */
async function incarnationOf(pid: number): Promise<string | null> {
  try {
    const [boot, status] = await Promise.all([
      readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
      readFile(`/proc/${pid}/stat`, 'utf8'),
    ]);
    // Field 22 is the start time; the name in field 2 may hold spaces and brackets, so count after it.
    const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
    if (GONE.has(fields[0]!)) return GONE_INCARNATION;
    return `${boot.trim()}/${fields[19]}`;
  } catch {
    return null;
  }
}

function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function readHolder(path: string): Promise<Holder | 'absent' | 'unreadable'> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'absent';
    throw error;
  }
  try {
    const holder = JSON.parse(text) as Partial<Holder> | null;
    if (typeof holder?.token === 'string' && Number.isInteger(holder.pid) && holder.host) {
      return holder as Holder;
    }
  } catch {
    // Not JSON: reported below, as any other file that we did not write.
  }
  return 'unreadable';
}

async function isDead(path: string, holder: Holder): Promise<boolean> {
  if (holder.host !== hostname()) {
    const age = await stat(path).then(
      (s) => Date.now() - s.mtimeMs,
      () => 0,
    );
    return age > SILENT_MS;
  }
  if (!pidExists(holder.pid)) return true;
  const incarnation = await incarnationOf(holder.pid);
  return incarnation !== null && holder.incarnation !== null && incarnation !== holder.incarnation;
}

function inUse(path: string, holder: Holder | 'unreadable'): Error {
  if (holder === 'unreadable') {
    return new DataFolderInUse({
      detail: `${path} is not a lock file of nestrec; remove it if no nestrec process uses the folder`,
    });
  }
  const self = holder.pid === process.pid && holder.host === hostname() ? ' (this process)' : '';
  return new DataFolderInUse({
    detail:
      `${path} is held by pid ${holder.pid}${self} on host ${excerpt(holder.host)}, started ${excerpt(holder.startedAt)}; ` +
      'stop that process, talk to its HTTP API instead, or choose another data folder',
  });
}

/** Links a complete file to `path`; false when something stands there. */
async function tryLink(path: string, me: Holder): Promise<boolean> {
  const complete = `${path}.${me.token}`;
  await writeFile(complete, JSON.stringify(me), { flag: 'wx' });
  try {
    await link(complete, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(complete, { force: true });
  }
}

/**
 * Replaces the file of a dead holder. Only the owner of the take-over lock may, and only after it has seen
 * that the dead holder's file still stands: so of many comers one wins, and no live lock is replaced.
 */
async function takeOver(path: string, dead: Holder, me: Holder): Promise<boolean> {
  const takeOverPath = `${path}.takeover`;
  if (!(await tryAcquire(takeOverPath, { ...me, token: randomUUID() })).won) return false;
  try {
    const current = await readHolder(path);
    if (typeof current === 'string' || current.token !== dead.token) return false;
    const complete = `${path}.${me.token}`;
    await writeFile(complete, JSON.stringify(me), { flag: 'wx' });
    await rename(complete, path);
    return true;
  } finally {
    await rm(takeOverPath, { force: true });
  }
}

async function tryAcquire(
  path: string,
  me: Holder,
): Promise<{ won: true } | { won: false; holder: Holder | 'unreadable' | null }> {
  if (await tryLink(path, me)) return { won: true };
  const holder = await readHolder(path);
  if (holder === 'absent') return { won: false, holder: null };
  if (holder === 'unreadable' || !(await isDead(path, holder))) return { won: false, holder };
  return (await takeOver(path, holder, me)) ? { won: true } : { won: false, holder: null };
}

/**
 * Takes the lock of `dataDir` (the file `<dataDir>.lock`).
 * @throws DataFolderInUse naming the holder
 */
export async function lockDataFolder(dataDir: string): Promise<DataFolderLock> {
  const path = `${dataDir.replace(/[/\\]+$/, '')}.lock`;
  await mkdir(dirname(path), { recursive: true });
  const me: Holder = {
    token: randomUUID(),
    pid: process.pid,
    host: hostname(),
    startedAt: new Date(Date.now() - process.uptime() * 1_000).toISOString(),
    incarnation: await incarnationOf(process.pid),
  };
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const outcome = await tryAcquire(path, me);
    if (outcome.won) {
      await removeLeftovers(path);
      return held(path, me);
    }
    if (outcome.holder !== null) throw inUse(path, outcome.holder);
    // Somebody released it or is taking it over this very moment: look again.
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const holder = await readHolder(path);
  throw inUse(path, holder === 'absent' ? 'unreadable' : holder);
}

/**
 * Removes the complete files that comers wrote before linking and were killed before removing; young
 * ones may belong to a comer at work and stay.
 */
async function removeLeftovers(path: string): Promise<void> {
  const folder = dirname(path);
  const prefix = `${basename(path)}.`;
  const names = (await readdir(folder)).filter(
    (name) => name.startsWith(prefix) && LEFTOVER.test(name),
  );
  for (const name of names) {
    const file = join(folder, name);
    const writtenMs = await stat(file).then(
      ({ mtimeMs }) => mtimeMs,
      () => Infinity,
    );
    if (Date.now() - writtenMs > SILENT_MS) await rm(file, { force: true });
  }
}

function held(path: string, me: Holder): DataFolderLock {
  const beat = setInterval(() => {
    const now = new Date();
    // A missed beat only matters to other hosts, and the next one repairs it.
    utimes(path, now, now).catch(() => undefined);
  }, HEARTBEAT_MS);
  beat.unref();
  return {
    path,
    release: async () => {
      clearInterval(beat);
      const holder = await readHolder(path);
      if (typeof holder !== 'string' && holder.token === me.token) await rm(path, { force: true });
    },
  };
}
