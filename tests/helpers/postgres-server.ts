/**
 * A private PostgreSQL server on loopback: own port, own data folder, gone at `stop`. Tests that break
 * servers start their own; the others share the one of the global set-up.
 */
import { randomBytes } from 'node:crypto';
import { chown, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recordService } from './leftovers.js';
import {
  postgresPrograms,
  runsAsRoot,
  servicesCache,
  UNPRIVILEGED_ID,
  withoutRoot,
} from './postgres-binaries.js';
import { freePort, processStart, run } from './processes.js';
import { waitFor } from './wait-for.js';

export type StopMode = 'fast' | 'immediate';

/** Runs one of PostgreSQL's programs as the user that the server runs as. */
export type RunProgram = (name: string, args: readonly string[]) => Promise<string>;
/** Makes the data folder before the first start. */
export type FillData = (data: string, program: RunProgram) => Promise<unknown>;

export interface PostgresServer {
  /** Of the database `postgres`, as superuser. */
  readonly url: string;
  /** The same database through a socket of this machine in place of TCP. */
  socketUrl(url: string): string;
  readonly program: RunProgram;
  /** Starts it again after `halt` or `kill`. */
  start(): Promise<void>;
  /** Stops the server; data stay. */
  halt(mode: StopMode): Promise<void>;
  /** kill -9 of the main process; data stay. */
  kill(): Promise<void>;
  /** Stops it for good and removes its data. Safe twice. */
  stop(): Promise<void>;
}

/** Of the 107 bytes of a socket's path, less its name. */
const LONGEST_SOCKET_FOLDER = 85;

export const runRecords = join(servicesCache, 'running');

const initialise: FillData = (data, program) =>
  program('initdb', [
    ...['-D', data, '--auth=trust', '-U', 'postgres', '-E', 'UTF8', '--locale=C', '--no-sync'],
  ]);

/** A streaming replica of `primary`, which it has caught up with when this resolves. */
export const startStandby = (
  primary: PostgresServer,
  settings: Readonly<Record<string, string>> = {},
): Promise<PostgresServer> =>
  startPostgres(settings, (data, program) =>
    program('pg_basebackup', [
      ...['-D', data, '-d', primary.url, '--write-recovery-conf', '--checkpoint=fast'],
    ]),
  );

/** Starts a server. `settings` are added as `-c name=value`; a value with spaces has to be quoted. */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
  fill: FillData = initialise,
): Promise<PostgresServer> {
  const programs = await postgresPrograms();
  const folder = await mkdtemp(join(tmpdir(), 'nestrec-postgres-data-'));
  const name = `postgres-${randomBytes(6).toString('hex')}`;
  // Written down before there is anything to leave behind, and again once there is a process.
  let strikeOut = await recordService(runRecords, name, { pid: null, container: null, folder });
  if (runsAsRoot()) await chown(folder, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
  const data = join(folder, 'data');
  const program: RunProgram = (name, args) =>
    run(...withoutRoot(join(programs, name), [...args]), { cwd: folder });
  await fill(data, program);
  const port = await freePort();

  const start = async () => {
    const options = {
      port: String(port),
      listen_addresses: '127.0.0.1',
      // A path that is too long for a socket would keep the server from starting.
      unix_socket_directories: folder.length <= LONGEST_SOCKET_FOLDER ? folder : '',
      max_connections: '60',
      shared_buffers: '64MB',
      ...settings,
    };
    const text = Object.entries(options)
      .map(([key, value]) => `-c ${key}=${value === '' ? "''" : value}`)
      .join(' ');
    await program('pg_ctl', [
      '-D',
      data,
      '-w',
      '-l',
      join(folder, 'log'),
      '-o',
      text,
      'start',
    ]).catch(async (error: unknown) => {
      const log = await readFile(join(folder, 'log'), 'utf8').catch(() => '');
      throw new Error(`PostgreSQL did not start: ${log.slice(-600)}`, { cause: error });
    });
    strikeOut = await recordService(runRecords, name, {
      pid: await mainPid(),
      container: null,
      folder,
    });
  };
  const mainPid = async () =>
    Number((await readFile(join(data, 'postmaster.pid'), 'utf8')).split('\n')[0]);
  const halt = async (mode: StopMode) => {
    await program('pg_ctl', ['-D', data, '-w', '-m', mode, 'stop']);
  };

  await start();
  let stopping: Promise<void> | null = null;
  const stop = async () => {
    await halt('immediate').catch(() => undefined); // it may be down already
    await rm(folder, { recursive: true, force: true, maxRetries: 20 });
    await strikeOut();
  };
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    socketUrl: (url) => `${url}?host=${encodeURIComponent(folder)}`,
    program,
    start,
    halt,
    kill: async () => {
      const pid = await mainPid();
      process.kill(pid, 'SIGKILL');
      // Until init has reaped it the next server takes it for alive.
      await waitFor(`the end of process ${pid}`, () => processStart(pid) === null);
    },
    stop: () => (stopping ??= stop()),
  };
}
