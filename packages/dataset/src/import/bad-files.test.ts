/** The bad-input catalogue of import files: each case has its own clear answer. */
import { execFileSync } from 'node:child_process';
import { appendFile, mkdir, readdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importInteractions } from './interactions.js';
import { failure, importAll, makeTestFolder, NOW_MS, type TestFolder } from './test-files.js';

let folder: TestFolder;
beforeAll(async () => {
  folder = await makeTestFolder();
});
afterAll(() => folder.remove());

const HEADER = 'user_id,item_id,timestamp\n';
const T = 1_600_000_000;
const good = (n: number, from = 0) =>
  Array.from({ length: n }, (_, i) => `u${i % 7},i${i % 11},${T + from + i}\n`).join('');

/** One bad line (the fifth of the file) among good ones: imported around, and named. */
async function around(name: string, badLine: string | Uint8Array, options = {}) {
  const content = Buffer.concat([
    Buffer.from(HEADER + good(3)),
    Buffer.from(badLine),
    Buffer.from(`\n${good(20, 3)}`),
  ]);
  const { summary } = await importAll(await folder.write(name, content), {
    maxBad: 0.1,
    ...options,
  });
  expect(summary).toMatchObject({ read: 24, stored: 23, bad: 1 });
  return summary.rejects[0];
}

describe('files that are refused as a whole', () => {
  const cases: [string, string | Uint8Array, RegExp][] = [
    ['empty.csv', '', /invalid_input.*is empty/],
    ['header-only.csv', HEADER, /invalid_input.*a header but no row/],
    ['blank-lines.csv', '\n\n', /invalid_input.*no line/],
    [
      'missing-column.csv',
      'user_id,thing\nu,i\n',
      /usage_error.*item_id has no column.*user_id, thing/,
    ],
    [
      'duplicate.csv',
      'user_id,item_id,item_id\nu,i,i\n',
      /invalid_input.*Columns 2 and 3 are both/,
    ],
    ['case.csv', 'user_id,item_id,Item_ID\nu,i,i\n', /but for letter case/],
    ['nameless.csv', 'user_id,,item_id\nu,1,i\n', /Column 2 of .* has no name/],
    ['semicolon.csv', 'user_id;item_id\nu;i\n', /pass --delimiter ";"/],
    ['tabs.csv', 'user_id\titem_id\nu\ti\n', /pass --delimiter "\\t"/],
    [
      'utf16le.csv',
      Buffer.from(`\ufeff${HEADER}${good(3)}`, 'utf16le'),
      /UTF-16; convert it: iconv/,
    ],
    ['utf16-no-mark.csv', Buffer.from(HEADER + good(3), 'utf16le'), /UTF-16; convert it: iconv/],
    ['mac.csv', 'user_id,item_id\ru,i\r', /Lines end in CR alone/],
    ['book.csv', Buffer.from('504b030414000600', 'hex'), /ZIP archive or spreadsheet/],
    ['not-gzip.csv.gz', HEADER + good(3), /named as a compressed file, but/],
    ['cut.csv.gz', gzipSync(HEADER + good(9_000)).subarray(0, 5_000), /damaged or cut off \(gzip/],
    ['array.jsonl', '[{"user_id":"u","item_id":"i"}]\n', /begins with an array/],
    ['not.parquet', 'PAR1 but no more', /not a whole Parquet file/],
    ['events.dat', HEADER + good(3), /usage_error.*pass --format/],
    ['no-types.inter', 'user_id\titem_id\nu\ti\n', /wanted name:type/],
  ];
  it.each(cases)('%s', async (name, content, expected) => {
    const path = await folder.write(name, content);
    expect(await failure(() => importAll(path))).toMatch(expected);
  });

  it('paths that are no regular file: absent, folder, pipe, endless device', async () => {
    await mkdir(join(folder.path, 'dir.csv'));
    execFileSync('mkfifo', [join(folder.path, 'pipe.csv')]);
    await symlink('/dev/zero', join(folder.path, 'zero.csv'));
    await symlink('loop.csv', join(folder.path, 'loop.csv'));
    const cases: [string, RegExp][] = [
      ['absent.csv', /input_not_found.*there is no such file/],
      ['../../nowhere/absent.csv', /input_not_found.*there is no such file/],
      ['dir.csv', /input_not_found.*is a folder/],
      ['pipe.csv', /input_not_found.*is a pipe/],
      ['zero.csv', /input_not_found.*is a device/],
      ['loop.csv', /input_not_found.*links go round/],
      ['nul\0.csv', /input_not_found/],
    ];
    for (const [name, expected] of cases)
      expect(await failure(() => importAll(`${folder.path}/${name}`))).toMatch(expected);
  });

  it('Parquet paths that DuckDB would take as a pattern', async () => {
    const path = await folder.write('a[1].parquet', 'PAR1');
    expect(await failure(() => importAll(path))).toMatch(/has one of .* rename the file/);
  });

  it('a gzip bomb is stopped by its ratio, and by the stated limit', async () => {
    const bomb = gzipSync(Buffer.alloc(300 * 2 ** 20, 'a'), { level: 1 });
    const path = await folder.write('bomb.csv.gz', bomb);
    expect(await failure(() => importAll(path))).toMatch(
      /inflates to more than 200 times its size/,
    );
    const modest = await folder.write('modest.csv.gz', gzipSync(HEADER + good(5_000)));
    expect(await failure(() => importAll(modest, { maxInflatedBytes: 50_000 }))).toMatch(
      /inflates to more than 50000 bytes/,
    );
  });

  it('a file that grows while it is being read', async () => {
    const path = await folder.write('growing.csv', HEADER + good(200_001));
    let grown: Promise<void> | null = null;
    const onProgress = () => (grown ??= appendFile(path, good(1)));
    const message = await failure(async () => {
      const imported = await importAll(path, { onProgress: () => void onProgress() });
      return imported;
    });
    await grown;
    expect(message).toMatch(/changed while it was being read/);
  });

  it('quotes that are never closed, once they are many', async () => {
    const path = await folder.write('quotes.csv', HEADER + 'u,"i,1\nx\0y\n'.repeat(25));
    expect(await failure(() => importAll(path, { maxBad: 1 }))).toMatch(/quotes are never closed/);
  });
});

describe('rows that are refused, each with its line and reason', () => {
  const cases: [string, string | Uint8Array, object][] = [
    ['ragged: too few fields', 'u1,i1', { reason: 'wrong_number_of_fields' }],
    ['ragged: too many fields', 'u1,i1,5,6', { reason: 'wrong_number_of_fields' }],
    ['a line of 10 MB', `u1,${'x'.repeat(10_000_000)},5`, { reason: 'line_too_long' }],
    ['NUL', 'u1,i\0,5', { reason: 'nul_character' }],
    ['Latin-1', Buffer.from('u1,caf\xe9,5', 'latin1'), { reason: 'not_utf8' }],
    ['text after a closing quote', `"u1"x,i1,${T}`, { reason: 'bad_quoting' }],
    ['no user', `,i1,${T}`, { reason: 'user_id_missing', column: 'user_id' }],
    ['no item', `u1,,${T}`, { reason: 'item_id_missing', column: 'item_id' }],
    ['an id of 300 bytes', `${'é'.repeat(150)},i1,${T}`, { reason: 'user_id_too_long' }],
    ['a control character', `u1,i\u0007,${T}`, { reason: 'item_id_control_character' }],
    ['no time', 'u1,i1,', { reason: 'timestamp_missing', column: 'timestamp' }],
    ['NaN as time', 'u1,i1,NaN', { reason: 'timestamp_unreadable' }],
    ['infinity as time', 'u1,i1,infinity', { reason: 'timestamp_unreadable' }],
    ['a time of no known form', 'u1,i1,12/1/2010 8:26', { reason: 'timestamp_unreadable' }],
    ['30 February', 'u1,i1,2021-02-30', { reason: 'timestamp_unreadable', got: '2021-02-30' }],
    ['zero as time', 'u1,i1,0', { reason: 'timestamp_not_positive' }],
    ['a negative time', `u1,i1,-${T}`, { reason: 'timestamp_not_positive' }],
    ['milliseconds among seconds', `u1,i1,${T}000`, { reason: 'timestamp_unit' }],
    ['1999', 'u1,i1,915148800', { reason: 'timestamp_too_early' }],
    ['the future', `u1,i1,${NOW_MS / 1000 + 3_600}`, { reason: 'timestamp_in_future' }],
  ];
  it.each(cases)('%s', async (name, line, expected) => {
    const reject = await around(`${name.replaceAll(/\W/g, '-')}.csv`, line);
    expect(reject).toMatchObject({ line: 5, ...expected });
    expect(reject!.got.length).toBeLessThanOrEqual(64);
    expect(reject!.want).not.toBe('');
  });

  it('an unclosed quote costs its own line, and the lines after it are read', async () => {
    const reject = await around('unclosed.csv', `u1,"i1,${T}`);
    expect(reject).toMatchObject({ line: 5, reason: 'unclosed_quote' });
  });

  it('values: NaN and words are refused; zero, negative and absent ones are not', async () => {
    const path = await folder.write(
      'values.csv',
      `user_id,item_id,timestamp,value\n${['0', '-2.5', '', 'NaN', 'good', '1e400']
        .map((value, i) => `u,i${i},${T + i},${value}\n`)
        .join('')}`,
    );
    const { summary, rows } = await importAll(path, { maxBad: 1 });
    expect(rows.map((row) => row.value)).toEqual([0, -2.5, null]);
    expect(summary.badByReason).toEqual({ value_not_a_number: 3 });
  });

  it('types that are no names', async () => {
    const path = await folder.write(
      'types.csv',
      `user_id,item_id,type,timestamp\nu,i,view,${T}\nu,i,Add To Cart,${T}\nu,i,,${T}\n`,
    );
    const { summary, rows } = await importAll(path, { maxBad: 1 });
    expect(rows.map((row) => row.type)).toEqual(['view']);
    expect(summary.badByReason).toEqual({ type_invalid: 2 });
  });

  it('JSON Lines: broken, scalar, lone surrogate, nested too far for a value', async () => {
    const path = await folder.write(
      'bad.jsonl',
      [
        `{"user_id":"u","item_id":"i","timestamp":${T}}`,
        '{"user_id":"u",',
        '5',
        '["u","i"]',
        `{"user_id":"\\ud800","item_id":"i","timestamp":${T}}`,
        `{"user_id":"a\\u0000b","item_id":"i","timestamp":${T}}`,
        `{"__proto__":{"polluted":1},"user_id":"u","item_id":"j","timestamp":${T}}`,
        `${'['.repeat(50_000)}`,
      ].join('\n'),
    );
    const { summary, rows } = await importAll(path, { maxBad: 1 });
    expect(summary.badByReason).toEqual({
      invalid_json: 3,
      not_an_object: 2,
      user_id_control_character: 1,
    });
    expect(rows.map((row) => row.itemId)).toEqual(['i', 'j']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('the limit on bad rows', () => {
  it('refuses everything above it, with the first 20 rows and all of them saved aside', async () => {
    const bad = Array.from({ length: 30 }, (_, i) => `u,i${i}\n`).join('');
    const path = await folder.write('many-bad.csv', HEADER + good(100) + bad);
    const rejectsPath = join(folder.path, 'not', 'yet', 'rejects.jsonl');
    const error = (await importAll(path, { rejectsPath, maxBad: 0.2 }).catch(
      (e: unknown) => e,
    )) as {
      code: string;
      detail: string;
      fields: { path: string; got: string }[];
    };
    expect(error.code).toBe('too_many_bad_rows');
    expect(error.detail).toMatch(/30 of 130 rows are bad \(wrong_number_of_fields 30\).*20 %/);
    expect(error.fields).toHaveLength(20);
    expect(error.fields[0]).toMatchObject({ path: 'line 102' });
    const saved = (await readFile(rejectsPath, 'utf8')).trim().split('\n');
    expect(saved).toHaveLength(30);
    expect(JSON.parse(saved[29]!)).toMatchObject({ line: 131, row: 'u,i29' });
  });

  it('takes a share from 0 to 1, and never writes over an input file', async () => {
    const path = await folder.write('kept.csv', `${HEADER}${good(50)}bad\n`);
    expect(await failure(() => importAll(path, { maxBad: 5 }))).toMatch(
      /usage_error.*is 5; wanted/,
    );
    expect(await failure(() => importAll(path, { maxBad: NaN }))).toMatch(/usage_error/);
    expect(await failure(() => importAll(path, { rejectsPath: path }))).toMatch(
      /usage_error.*rejects file is an input file/,
    );
    expect(await readFile(path, 'utf8')).toContain('u1');
    // A file stands where the folder would be.
    const nowhere = join(path, 'rejects.jsonl');
    expect(await failure(() => importAll(path, { rejectsPath: nowhere }))).toMatch(
      /output_not_writable/,
    );
  });

  it('leaves no staging folder behind, whether the import fails, succeeds or is closed early', async () => {
    const tempDir = join(folder.path, 'staging');
    await mkdir(tempDir);
    const path = await folder.write('fine.csv', HEADER + good(50));
    await failure(() => importAll(join(folder.path, 'many-bad.csv'), { tempDir }));
    await importAll(path, { tempDir });
    const imported = await importInteractions({ kind: 'table', path }, { nowMs: NOW_MS, tempDir });
    expect(await readdir(tempDir)).toHaveLength(1);
    for await (const batch of imported.batches({ batchSize: 10 })) {
      expect(batch).toHaveLength(10);
      break;
    }
    await imported.close();
    expect(await readdir(tempDir)).toEqual([]);
  });

  it('removes what an import that was killed left behind, and nothing else', async () => {
    const tempDir = join(folder.path, 'leftovers');
    const running = `nestrec-import-${process.pid}-x`;
    // Process ids end at 4,194,304 on Linux.
    for (const name of ['nestrec-import-99999999-dead', running, 'other'])
      await mkdir(join(tempDir, name), { recursive: true });
    await importAll(await folder.write('tiny.csv', HEADER + good(2)), { tempDir });
    expect((await readdir(tempDir)).sort()).toEqual([running, 'other']);
  });
});
