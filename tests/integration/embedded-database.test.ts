/** The embedded database against processes that die and processes that come second. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { lockDataFolder, migrate, openPglite } from '@nestrec/database';
import { DataFolderInUse, DatabaseUnsuitable } from '@nestrec/errors';
import { createRandom } from '@nestrec/random';
import { readInteractions } from '@nestrec/storage';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { copyPgliteTemplate } from '../helpers/databases.js';
import { startSource } from '../helpers/source-child.js';
import { waitFor } from '../helpers/wait-for.js';

const WRITER = new URL('../helpers/pglite-writer.ts', import.meta.url);
const committedIds = (output: string) =>
  [...output.matchAll(/^committed (.+)\n/gm)].map((match) => match[1]!);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestrec-embedded-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const LEFT_BY_A_COMER = /^data\.lock(\.takeover)?\.[0-9a-f-]{36}$/;

describe('kill -9', () => {
  it('loses nothing that was committed, and does not block the next start', async () => {
    const { dataDir, dispose } = await copyPgliteTemplate();
    const committed: string[] = [];
    for (let round = 0; round < 3; round++) {
      const writer = startSource(WRITER, [dataDir]);
      const enough = 5 + 10 * round;
      await waitFor(
        `${enough} commits of round ${round}`,
        () => {
          if (writer.child.exitCode !== null) throw new Error(writer.output());
          return committedIds(writer.output()).length >= enough;
        },
        60_000,
      );
      writer.kill('SIGKILL');
      await writer.ended;
      committed.push(...committedIds(writer.output()));
    }
    const db = await openPglite({ dataDir });
    const stored = await readInteractions(db, committed);
    expect(stored).toHaveLength(committed.length);
    await db.close();
    await dispose();
  });

  it('while the data folder is being created leaves a folder that the next start can use', async () => {
    const random = createRandom(11);
    const dataDir = join(folder, 'data');
    for (let round = 0; round < 2; round++) {
      const writer = startSource(WRITER, [dataDir]);
      await writer.waitForLine(/opening/, 60_000);
      // A seeded moment of the creation, by how much of it lies on disk.
      const files = 1 + random.int(600);
      await waitFor(
        `${files} files or the end of creation`,
        async () => {
          const made = await readdir(`${dataDir}.creating`, { recursive: true }).catch(() => []);
          return made.length >= files || /open\n/.test(writer.output());
        },
        60_000,
      );
      writer.kill('SIGKILL');
      await writer.ended;
    }
    const db = await openPglite({ dataDir });
    await migrate(db);
    expect((await db.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await db.close();
    // A kill between writing a lock's file and linking it leaves that file, for a minute.
    const names = (await readdir(folder)).filter((name) => !LEFT_BY_A_COMER.test(name));
    expect(names).toEqual(['data']);
  });
});

describe('one process per data folder', () => {
  it('refuses a second process and names the first; lets it in once the first is gone', async () => {
    const { dataDir, dispose } = await copyPgliteTemplate();
    const writer = startSource(WRITER, [dataDir]);
    await writer.waitForLine(/^open$/m, 60_000);
    await expect(openPglite({ dataDir })).rejects.toMatchObject({
      code: DataFolderInUse.code,
      detail: expect.stringMatching(
        new RegExp(`held by pid ${writer.child.pid} on host ${hostname()}, started \\d{4}-`),
      ),
    });
    writer.kill('SIGKILL');
    await writer.ended;
    await (await openPglite({ dataDir })).close();
    await dispose();
  });

  it('refuses a second opening within the process', async () => {
    const lock = await lockDataFolder(join(folder, 'data'));
    await expect(lockDataFolder(join(folder, 'data/'))).rejects.toMatchObject({
      code: DataFolderInUse.code,
      detail: expect.stringContaining(`pid ${process.pid} (this process)`),
    });
    await lock.release();
    await (await lockDataFolder(join(folder, 'data'))).release();
    expect(await readdir(folder)).toEqual([]);
  });

  const path = () => join(folder, 'data.lock');
  const held = async (change: Record<string, unknown>) => {
    const lock = await lockDataFolder(join(folder, 'data'));
    const holder = JSON.parse(await readFile(path(), 'utf8')) as Record<string, unknown>;
    await lock.release();
    await writeFile(path(), JSON.stringify({ ...holder, token: 'other', ...change }));
  };
  const lock = () => lockDataFolder(join(folder, 'data'));

  it('takes over from a process that is gone', async () => {
    await held({ pid: 2 ** 22 + 1 });
    await (await lock()).release();
    expect(await readdir(folder)).toEqual([]);
  });

  it.skipIf(process.platform !== 'linux')(
    'takes over from a killed process that nobody has waited for yet',
    async () => {
      // The shell becomes a sleep, which never waits for its child: a killed child stays as a zombie.
      const parent = spawn('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60']);
      try {
        const [line] = (await once(parent.stdout, 'data')) as [Buffer];
        const pid = Number(line.toString());
        const state = async () =>
          (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]!.split(' ');
        const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
        await held({ pid, incarnation: `${boot}/${(await state())[19]}` });
        await expect(lock()).rejects.toMatchObject({ code: DataFolderInUse.code });
        process.kill(pid, 'SIGKILL');
        await waitFor('the child to be a zombie', async () => (await state())[0] === 'Z');
        await (await lock()).release();
      } finally {
        parent.kill('SIGKILL');
      }
    },
  );

  it('takes over when the pid now belongs to another process (containers count from 1)', async () => {
    await held({ incarnation: 'another-boot/1' });
    await (await lock()).release();
  });

  it('takes over from another host only after its heartbeat stopped for a minute', async () => {
    await held({ host: 'another-host' });
    await expect(lock()).rejects.toMatchObject({ code: DataFolderInUse.code });
    const twoMinutesAgo = new Date(Date.now() - 120_000);
    await utimes(path(), twoMinutesAgo, twoMinutesAgo);
    await (await lock()).release();
  });

  it('does not touch a lock file it did not write, and says what to do', async () => {
    await writeFile(path(), 'something else');
    await expect(lock()).rejects.toMatchObject({
      detail: expect.stringContaining('not a lock file of nestrec'),
    });
    expect(await readFile(path(), 'utf8')).toBe('something else');
  });

  it('lets exactly one of many comers take a dead holder’s lock', async () => {
    for (let round = 0; round < 10; round++) {
      await held({ pid: 2 ** 22 + 1 });
      const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => lock()));
      const winners = outcomes.flatMap((o) => (o.status === 'fulfilled' ? [o.value] : []));
      expect(winners).toHaveLength(1);
      await winners[0]!.release();
    }
  });

  it('removes what killed comers left, once it is old enough to be nobody’s', async () => {
    const [old, young] = ['data.lock', 'data.lock.takeover'].map((name) =>
      join(folder, `${name}.${randomUUID()}`),
    );
    await Promise.all([writeFile(old!, ''), writeFile(young!, '')]);
    const twoMinutesAgo = new Date(Date.now() - 120_000);
    await utimes(old!, twoMinutesAgo, twoMinutesAgo);
    await (await lock()).release();
    expect(await readdir(folder)).toEqual([basename(young!)]);
  });

  it('is free again after a take-over that was itself killed', async () => {
    await held({ pid: 2 ** 22 + 1 });
    await writeFile(
      `${path()}.takeover`,
      (await readFile(path(), 'utf8')).replace('other', 'dead'),
    );
    await (await lock()).release();
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('data folders that are none', () => {
  it('says which folder cannot be used when a file stands in its way', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(openPglite({ dataDir: join(folder, 'file', 'data') })).rejects.toMatchObject({
      code: DatabaseUnsuitable.code,
      detail: expect.stringMatching(/file.data could not be opened: (ENOTDIR|EEXIST)/),
    });
  });

  it('refuses a folder with other files in it, and leaves them alone', async () => {
    const dataDir = join(folder, 'data');
    await mkdir(dataDir);
    await writeFile(join(dataDir, 'thesis.txt'), 'mine');
    await expect(openPglite({ dataDir })).rejects.toMatchObject({
      code: DatabaseUnsuitable.code,
      detail: expect.stringContaining('thesis.txt'),
    });
    expect(await readdir(dataDir)).toEqual(['thesis.txt']);
    expect((await readdir(folder)).sort()).toEqual(['data']);
  });
});
