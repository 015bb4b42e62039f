import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataFolderInUse } from '@nestrec/errors';
import { loadConfig } from '@nestrec/runtime';
import { afterAll, describe, expect, it } from 'vitest';
import { announceServer, findServer, fromProblem, refuseRemotely } from './running-server.js';
import { openPlatform } from './platform.js';
import { cliSettings } from './settings.js';

const folder = mkdtempSync(join(tmpdir(), 'nestrec-server-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the running server', () => {
  it('is who holds the lock: what a killed server left behind is not asked', async () => {
    const config = loadConfig(cliSettings, { NESTREC_DATA_DIR: folder });
    await announceServer(folder, { url: 'http://127.0.0.1:1', adminKey: 'k' });
    expect(await findServer(config)).toBeNull();
    writeFileSync(join(folder, 'database.lock'), JSON.stringify({ pid: process.pid + 1 }));
    expect(await findServer(config)).toBeNull();
    writeFileSync(join(folder, 'database.lock'), JSON.stringify({ pid: process.pid }));
    expect(await findServer(config)).toMatchObject({ url: 'http://127.0.0.1:1' });
  });

  it('is never asked for less than the command line said', () => {
    expect(() => refuseRemotely({ '--to': 'v1', '--force': undefined })).toThrow(DataFolderInUse);
    expect(() => refuseRemotely({ '--to': undefined })).not.toThrow();
  });

  it("answers with errors that keep the catalogue's exit codes", () => {
    const problem = (code: string, status: number) => ({
      type: 'about:blank',
      title: 'T',
      status,
      code,
      detail: 'd',
      errors: [],
      request_id: 'r',
    });
    expect(fromProblem(problem('model_not_found', 404)).traits.exitCode).toBe(66);
    expect(fromProblem(problem('code_of_a_newer_server', 400)).traits.exitCode).toBe(1);
  });
});

describe('the data folder', () => {
  it('that is a file is named, with what to set instead', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const config = loadConfig(cliSettings, { NESTREC_DATA_DIR: file });
    await expect(openPlatform(config)).rejects.toMatchObject({
      code: 'invalid_config',
      detail: expect.stringMatching(/NESTREC_DATA_DIR.*EEXIST/) as string,
    });
  });
});
