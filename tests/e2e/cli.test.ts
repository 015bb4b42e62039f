/**
 * The command line as people call it: exit codes, faults all at once, one JSON document, and files going
 * all the way to answers. Runs the built command in processes of its own.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@nestrec/client';
import { evaluationReportSchema } from '@nestrec/contracts';
import { openPglite } from '@nestrec/database';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, repositoryRoot, startProcess } from '../helpers/started-process.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestrec-cli-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Outcome {
  readonly code: number | null;
  readonly output: string;
}

async function nestrec(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Outcome> {
  const one = startProcess(
    process.execPath,
    [join(repositoryRoot, 'services/cli/bin/nestrec.js'), ...args],
    { NESTREC_DATA_DIR: join(folder, 'data'), ...env },
  );
  const code = await one.ended;
  return { code, output: one.output() };
}

/** The one JSON document that standard output holds; notes on standard error come before it. */
function json<T>({ output }: Outcome): T {
  return JSON.parse(output.slice(output.search(/^\{/m))) as T;
}

describe('nestrec, usage and settings', () => {
  it('ends with 2 on an unknown command or option and suggests the nearest', async () => {
    const unknown = await nestrec(['trian']);
    expect(unknown).toMatchObject({ code: 2 });
    expect(unknown.output).toMatch(/train/);
    expect(await nestrec(['train', '--epoch', '3'])).toMatchObject({ code: 2 });
    expect(await nestrec(['train', '--sizes', '64,32'])).toMatchObject({ code: 2 });
  });

  it('ends with 0 and shows examples for --help', async () => {
    const help = await nestrec(['import', 'events', '--help']);
    expect(help.code).toBe(0);
    expect(help.output).toMatch(/Examples:/);
  });

  it('reports all faults of the settings at once with exit code 78', async () => {
    const env = { PORT: '70000', NESTREC_BACKEND: 'gpu', NESTREC_LOG_LEVLE: 'info' };
    const { code, output } = await nestrec(['config', 'check'], env);
    expect(code).toBe(78);
    expect(output).toContain('PORT: got "70000"');
    expect(output).toContain('NESTREC_BACKEND: got "gpu"');
    expect(output).toContain('NESTREC_LOG_LEVEL (did you mean this?)');
  });

  it('never prints the database password', async () => {
    const { code, output } = await nestrec(['config', 'check'], {
      DATABASE_URL: 'postgres://u:hunter2@127.0.0.1:1/d',
    });
    expect(code).toBe(0);
    expect(output).not.toContain('hunter2');
  });

  it('names the file and the reason when an input is missing', async () => {
    const { code, output } = await nestrec(['golden', join(folder, 'absent.json')]);
    expect(code).toBe(66);
    expect(output).toContain('absent.json');
  });
});

/** 60 users over 30 items; who takes item i goes on to item i + 1. */
function exampleEvents(): string {
  const lines: string[] = [];
  for (let user = 0; user < 60; user++) {
    for (let n = 0; n < 8; n++) {
      const time = new Date(Date.UTC(2026, 0, 1 + user, n)).toISOString();
      lines.push(
        JSON.stringify({ who: `u${user}`, what: `i${(user + n) % 30}`, when: time, kind: 'view' }),
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

describe('nestrec, from files to answers', () => {
  it('imports, trains, verifies, slices, publishes and serves', async () => {
    const files = join(folder, 'files');
    await mkdir(files);
    await writeFile(join(files, 'events.jsonl'), exampleEvents());
    const items = Array.from({ length: 31 }, (_, i) =>
      JSON.stringify({ item_id: `i${i}`, title: `Thing number ${i}`, brand: `B${i % 3}` }),
    );
    await writeFile(join(files, 'items.jsonl'), `${items.join('\n')}\n`);
    const map = 'user_id=who,item_id=what,timestamp=when,type=kind';
    const importEvents = ['import', 'events', join(files, 'events.jsonl'), '--map', map, '--json'];

    const first = await nestrec(importEvents);
    expect(first, first.output).toMatchObject({ code: 0 });
    expect(json(first)).toMatchObject({ read: 480, stored: 480, duplicate: 0, bad: 0 });
    expect(json(await nestrec(importEvents))).toMatchObject({ stored: 0, duplicate: 480 });
    expect(await nestrec(['import', 'items', join(files, 'items.jsonl')])).toMatchObject({
      code: 0,
    });

    const train = (version: string, env: Record<string, string> = {}) => {
      const shape = ['--sizes', '8,16', '--epochs', '2', '--text-width', '8'];
      return nestrec(['train', ...shape, '--model-version', version, '--json'], {
        // Two, however small the set: threads start from dist/ too.
        ...{ NESTREC_BACKEND: 'wasm', NESTREC_TRAIN_WORKERS: '2' },
        ...env,
      });
    };
    const trained = await train('v1');
    expect(trained, trained.output).toMatchObject({ code: 0 });
    expect(json<{ manifest: unknown }>(trained).manifest).toMatchObject({ version: 'v1' });

    const models = join(folder, 'data', 'models');
    const model = join(models, 'v1');
    // Events in a file, batches from a thread of the built package: the same weights, bit by bit.
    const fromFile = await train('v1_file', { NESTREC_EVENTS_IN_MEMORY: '0' });
    expect(fromFile, fromFile.output).toMatchObject({ code: 0 });
    const weights = (version: string) => readFile(join(models, version, 'weights.safetensors'));
    expect((await weights('v1_file')).equals(await weights('v1'))).toBe(true);
    expect(json(await nestrec(['model', 'verify', model, '--json']))).toMatchObject({
      accepted: true,
    });
    const slices = join(folder, 'slices');
    const sliced = await nestrec([
      'model',
      'slice',
      model,
      '--dim',
      '8',
      '--out',
      slices,
      '--json',
    ]);
    const slice = json<{ path: string }>(sliced);
    expect(await nestrec(['model', 'verify', slice.path])).toMatchObject({ code: 0 });
    expect(await nestrec(['model', 'slice', model, '--dim', '7'])).toMatchObject({ code: 65 });

    const published = await nestrec(['publish', 'v1', '--json']);
    expect(published, published.output).toMatchObject({ code: 0 });
    expect(json(published)).toMatchObject({ items: 31, newItems: 1 });
    expect(await nestrec(['evaluate'], { NESTREC_BACKEND: 'wasm' })).toMatchObject({ code: 0 });

    await expectReported();
    await expectServed();
    await expectVerifiedStates();
    await expectBackup();
  });

  const recommend = (...more: string[]) => nestrec(['tiers', 'recommend', '--json', ...more]);

  async function expectReported(): Promise<void> {
    const [wasm, target] = [{ NESTREC_BACKEND: 'wasm' }, join(folder, 'report')];
    expect((await recommend('--min-quality', '.9')).output).toContain('nestrec evaluate --report');
    const written = await nestrec(['evaluate', '--report', target, '--json'], wasm);
    expect(written, written.output).toMatchObject({ code: 0 });
    const paths = { json: join(target, 'report.json'), html: join(target, 'report.html') };
    expect(json(written)).toEqual({ version: 'v1', protocol: 'leave-one-out', ...paths });
    const report = evaluationReportSchema.parse(JSON.parse(await readFile(paths.json, 'utf8')));
    expect(report.data).toMatchObject({ cases: 60, askedUsers: 60, trainedOnCases: 0, users: 60 });
    expect(report.epochs!.map(({ epoch }) => epoch)).toEqual([1, 2]);
    expect(report.served.map(({ dim }) => dim)).toContain(16);
    expect(await readFile(paths.html, 'utf8')).toMatch(/^<!DOCTYPE html>[\s\S]*<\/html>\n$/);
    expect(json(await recommend('--bytes-per-item', '32'))).toMatchObject({
      version: 'v1',
      dim: 8,
    });
    const whole = report.sizes.find(({ shareOfFull }) => (shareOfFull?.low ?? -1) >= 1)!;
    expect(json(await recommend('--min-quality', '1', '--report', paths.json))).toMatchObject({
      dim: whole.dim,
    });
    expect(await recommend('--min-quality', '.9', '--bytes-per-item', '32')).toMatchObject({
      code: 2,
    });
    const twin = ['evaluate', '--report', target, '--seeds', 'v1_file'];
    expect((await nestrec(twin, wasm)).output).toContain('v1 has the seed 1 too');
    expect(await nestrec(['evaluate', '--seeds', 'v1_file'], wasm)).toMatchObject({ code: 2 });
    expect(await nestrec(['evaluate', '--sasrec', '16'], wasm)).toMatchObject({ code: 2 });
  }

  async function expectServed(): Promise<void> {
    const key = json<{ key: string }>(
      await nestrec(['keys', 'create', '--client', 'c', '--json']),
    ).key;
    const port = await freePort();
    const server = startProcess(
      process.execPath,
      [join(repositoryRoot, 'services/cli/bin/nestrec.js'), 'serve'],
      { NESTREC_DATA_DIR: join(folder, 'data'), PORT: String(port) },
    );
    const [, url] = await server.waitForLine(/^ready (\S+)$/m, 60_000);
    const client = createClient({ url: url!, key });
    const answer = await client.recommend('u0', { k: 5, dim: 8 });
    expect(answer).toMatchObject({ served_by: { model_version: 'v1', dim: 8 } });

    // The server holds the data folder: commands for keys go through it, others are refused politely.
    const second = await nestrec(['keys', 'create', '--client', 'd', '--tier', 'basic', '--json']);
    expect(second, second.output).toMatchObject({ code: 0 });
    const { id } = json<{ id: string }>(second);
    expect(await nestrec(['keys', 'revoke', id])).toMatchObject({ code: 0 });
    const rotated = await nestrec(['keys', 'rotate', '--client', 'c', '--overlap', '1h', '--json']);
    expect(rotated, rotated.output).toMatchObject({ code: 0 });
    const set = ['tiers', 'set', 'tiny', '--max-dim', '8', '--requests-per-second', '5', '--json'];
    expect(json(await nestrec(set))).toMatchObject({ name: 'tiny', max_dim: 8, max_k: 20 });
    const moved = await nestrec(['keys', 'set', '--client', 'c', '--tier', 'tiny', '--json']);
    expect(json(moved)).toMatchObject({ keys: [{ tier: 'tiny' }, { tier: 'tiny' }] });
    expect(await nestrec(['tiers', 'remove', 'tiny'])).toMatchObject({ code: 1 });
    expect(json(await recommend('--bytes-per-item', '32'))).toMatchObject({ dim: 8 });
    const refused = await nestrec(['train']);
    expect(refused.code).toBe(75);
    expect(refused.output).toContain(String(server.child.pid));
    const held = await nestrec(['states', 'verify']);
    expect(held.code).toBe(75);
    expect(held.output).toContain('rec_state_mismatch_total');
    const events = [{ event_id: 'x', user_id: 'u0', item_id: 'i3' }];
    const { token } = await client.sendEvents(events);
    await client.recommend('u0', { after: token });
    server.kill('SIGTERM');
    expect(await server.ended).toBe(0);
  }

  async function expectVerifiedStates(): Promise<void> {
    const verify = (...more: string[]) =>
      nestrec(['states', 'verify', '--all', '--json', ...more], { NESTREC_BACKEND: 'wasm' });
    const healthy = await verify();
    expect(healthy, healthy.output).toMatchObject({ code: 0 });
    expect(json(healthy)).toMatchObject({
      ...{ passed: true, users: 60, modelVersion: 'v1', findings: { same: 1, absent: 59 } },
      worstQuery: [{ dim: 8 }, { dim: 16 }],
    });
    const db = await openPglite({ dataDir: join(folder, 'data', 'database') });
    await db.query(`UPDATE user_states SET state = set_byte(state, 22, get_byte(state, 22) # 64)`);
    await db.close();
    const wrong = await verify();
    expect(wrong, wrong.output).toMatchObject({ code: 1 });
    expect(json(wrong)).toMatchObject({ passed: false, mismatches: 1, findings: { different: 1 } });
    const asText = await nestrec(['states', 'verify'], { NESTREC_BACKEND: 'wasm' });
    expect(asText).toMatchObject({ code: 1 });
    expect(asText.output).toContain('run again with --repair');
    expect(asText.output).not.toContain('u0');
    expect(json(await verify('--repair'))).toMatchObject({ mismatches: 1, repaired: 1 });
    expect(await verify()).toMatchObject({ code: 0 });
    expect(await nestrec(['states', 'verify', '--all', '--sample', '5'])).toMatchObject({
      code: 2,
    });
  }

  async function expectBackup(): Promise<void> {
    const backup = join(folder, 'backup');
    expect(await nestrec(['backup', 'create', backup])).toMatchObject({ code: 0 });
    const restored = { NESTREC_DATA_DIR: join(folder, 'restored') };
    expect(await nestrec(['backup', 'restore', backup], restored)).toMatchObject({ code: 0 });
    expect(await nestrec(['tiers', 'set', 'tiny', '--burst', '2'], restored)).toMatchObject({
      code: 2,
    });
    const { keys } = json<{ keys: { client: string }[] }>(
      await nestrec(['keys', 'list', '--json'], restored),
    );
    expect(keys.map((key) => key.client)).toContain('c');
    expect(await nestrec(['backup', 'restore', backup], restored)).toMatchObject({ code: 2 });
    await writeFile(join(backup, 'models', 'v1', 'items.json'), '[]');
    const other = { NESTREC_DATA_DIR: join(folder, 'other') };
    expect(await nestrec(['backup', 'restore', backup], other)).toMatchObject({ code: 65 });
  }
});
