/** Services of crashed test runs are ended by recorded pid; those of living runs are left alone. */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { endLeftovers, recordService } from '../helpers/leftovers.js';

let records: string;
let service: ReturnType<typeof spawn>;
let data: string;
beforeEach(async () => {
  records = await mkdtemp(join(tmpdir(), 'nestrec-records-'));
  data = await mkdtemp(join(tmpdir(), 'nestrec-data-'));
  service = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
});
afterEach(async () => {
  service.kill('SIGKILL');
  await Promise.all([records, data].map((path) => rm(path, { recursive: true, force: true })));
});

const record = (change: Record<string, unknown>) => async () => {
  const strikeOut = await recordService(records, 'service', {
    pid: service.pid!,
    container: null,
    folder: data,
  });
  const path = join(records, 'service.json');
  const written = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  await writeFile(path, JSON.stringify({ ...written, ...change }));
  return strikeOut;
};

it('ends a service whose run is gone, and removes its data', async () => {
  await record({ owner: 2 ** 22 + 1 })();
  const ended = new Promise<void>((resolve) => service.once('exit', () => resolve()));
  expect(await endLeftovers(records)).toBe(1);
  await ended;
  await expect(readdir(data)).rejects.toThrow('ENOENT');
  expect(await readdir(records)).toEqual([]);
});

it('leaves the service of a living run alone', async () => {
  const strikeOut = await record({})();
  expect(await endLeftovers(records)).toBe(0);
  expect(service.exitCode ?? service.signalCode).toBeNull();
  expect(await readdir(data)).toEqual([]);
  await strikeOut();
  expect(await readdir(records)).toEqual([]);
});

it('never ends another process that got the pid of a dead service', async () => {
  await record({ owner: 2 ** 22 + 1, pidStart: 'another start' })();
  expect(await endLeftovers(records)).toBe(1);
  expect(service.exitCode ?? service.signalCode).toBeNull();
});
