import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvalidConfig } from '@nestrec/errors';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withEnvFile } from './env-file.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nestrec-env-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, text: string, mode = 0o600) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
};

describe('.env', () => {
  it('gives way to variables that are set', () => {
    const { env, warnings } = withEnvFile({ PORT: '1' }, file('a', 'PORT=2\nHOST=h\n'));
    expect(env).toEqual({ PORT: '1', HOST: 'h' });
    expect(warnings).toEqual([]);
  });

  it('may be absent', () => {
    expect(withEnvFile({ PORT: '1' }, join(folder, 'absent')).env).toEqual({ PORT: '1' });
  });

  it('that names a variable twice, or is no file, is a fault of the configuration', () => {
    expect(() => withEnvFile({}, file('b', 'PORT=1\nHOST=h\n PORT=2\n'))).toThrow(InvalidConfig);
    mkdirSync(join(folder, 'c'));
    expect(() => withEnvFile({}, join(folder, 'c'))).toThrow(/EISDIR.*correct or remove/);
  });

  it('with a password that others can read is warned of, without the password', () => {
    const text = 'DATABASE_URL=postgres://u:hunter2@h/d\n';
    const [warning] = withEnvFile({}, file('d', text, 0o644)).warnings;
    expect(warning).toMatch(/DATABASE_URL.*chmod 600/);
    expect(warning).not.toContain('hunter2');
    expect(withEnvFile({}, file('e', text, 0o600)).warnings).toEqual([]);
    expect(withEnvFile({}, file('f', 'PORT=1\n', 0o644)).warnings).toEqual([]);
  });
});
