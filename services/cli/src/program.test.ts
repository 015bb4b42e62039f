import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { commandHelps, runCli } from './program.js';

const folder = mkdtempSync(join(tmpdir(), 'nestrec-program-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(argv: string[], env: Record<string, string> = {}, envFile?: string) {
  const written = { stdout: '', stderr: '' };
  const stream = (name: keyof typeof written) =>
    ({ write: (text: string) => ((written[name] += text), true) }) as unknown as NodeJS.WriteStream;
  const code = await runCli(argv, {
    env,
    ...(envFile === undefined ? {} : { envFile }),
    streams: { stdout: stream('stdout'), stderr: stream('stderr') },
  });
  return { code, ...written };
}

describe('command line', () => {
  it.each([
    [['train', '--epochs', 'x', '--json']],
    [['train', '--epoch', '3', '--json']],
    [['keys', 'creat', '--json']],
    [['keys', 'create', '--json']],
    [['publish', 'v1', '--shortlist-index', 'bits', '--json']],
    [['config', 'check', '--json', 'extra']],
  ])('says a usage error as one JSON document with --json: %j', async (argv) => {
    const { code, stdout } = await run(argv);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'usage_error', fields: [] } });
  });

  it.each([
    ['train', '--database-url=postgres://u:hunter2@h/d'],
    ['train', '--database-url', 'postgres://u:hunter2@h/d'],
    ['serve', 'DATABASE_URL=postgres://u:hunter2@h/d'],
    ['keys', 'create', '--client', 'c', '--api-key', 'hunter2'],
    ['keys', 'revoke', `rk_live_0123456789_${'hunter2'.padEnd(30, '0')}`],
  ])('refuses secrets among the arguments without repeating them: %s %s', async (...argv) => {
    const { code, stdout, stderr } = await run([...argv, '--json']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/looks like a secret/);
    expect(stdout + stderr).not.toContain('hunter2');
  });

  it('shows an example in the help of every command', () => {
    const helps = commandHelps();
    expect(helps.length).toBeGreaterThan(18);
    for (const { name, help } of helps) expect(help, name).toMatch(/Examples?:\n {2}/);
  });

  it('reads .env only for what runs, and reports its faults as configuration', async () => {
    const envFile = join(folder, '.env');
    writeFileSync(envFile, 'PORT=1\nPORT=2\n');
    expect(await run(['config', 'check', '--help'], {}, envFile)).toMatchObject({ code: 0 });
    const { code, stderr } = await run(['config', 'check'], {}, envFile);
    expect(code).toBe(78);
    expect(stderr).toMatch(/PORT more than once/);
  });
});
