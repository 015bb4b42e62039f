import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findKilledRun, forgetRun, recordRun } from './unfinished-run.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nestrec-run-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function recordOf(pid: number, version: string, request: string): Promise<void> {
  await recordRun(folder, version, request);
  const path = join(folder, `${version}.run.json`);
  const record = JSON.parse(readFileSync(path, 'utf8')) as object;
  writeFileSync(path, JSON.stringify({ ...record, pid }));
}

describe('a killed training', () => {
  it('is found by the same command only, the newest first', async () => {
    const gone = spawnSync(process.execPath, ['-e', '']).pid;
    await recordOf(gone, 'v1', 'a');
    await recordOf(gone, 'v2', 'a');
    await recordOf(gone, 'v3', 'b');
    expect(await findKilledRun(folder, 'a')).toBe('v2');
    expect(await findKilledRun(folder, 'c')).toBeNull();
    expect(await findKilledRun(folder, 'a', 'v1')).toBe('v1');
    expect(await findKilledRun(folder, 'a', 'v3')).toBeNull();
    await forgetRun(folder, 'v2');
    expect(await findKilledRun(folder, 'a')).toBe('v1');
  });

  it('is not one that still runs', async () => {
    await recordOf(process.ppid, 'v1', 'a');
    expect(await findKilledRun(folder, 'a')).toBeNull();
  });

  it('leaves new data folders and damaged records alone', async () => {
    expect(await findKilledRun(join(folder, 'absent'), 'a')).toBeNull();
    writeFileSync(join(folder, 'v1.run.json'), '{');
    expect(await findKilledRun(folder, 'a')).toBeNull();
  });
});
