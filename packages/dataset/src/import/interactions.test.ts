import { gzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildDataset } from '../build-dataset.js';
import type { SequenceDataset } from '../types.js';
import { failure, importAll, makeTestFolder, NOW_MS, type TestFolder } from './test-files.js';
import { withAlreadyStored } from './summary.js';

let folder: TestFolder;
beforeAll(async () => {
  folder = await makeTestFolder();
});
afterAll(() => folder.remove());

const T = 1_600_000_000;

async function parquet(name: string, select: string): Promise<string> {
  const path = `${folder.path}/${name}`;
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run(`COPY (${select}) TO '${path}' (FORMAT parquet)`);
  connection.closeSync();
  instance.closeSync();
  return path;
}

const itemsOf = (data: SequenceDataset) => [...data.items.subarray(0, data.items.length)];

describe('formats', () => {
  const expected = [
    { userId: 'u1', itemId: 'a', timestampMs: T * 1000 },
    { userId: 'u2', itemId: 'b, c', timestampMs: (T + 1) * 1000 },
  ];
  const csv = `user_id,item_id,timestamp\nu1,a,${T}\nu2,"b, c",${T + 1}\n`;
  const jsonl =
    `{"user_id":"u1","item_id":"a","timestamp":${T}}\n\n` +
    `{"timestamp":${T + 1},"item_id":"b, c","user_id":"u2","other":[1]}`;

  it('CSV, TSV, JSON Lines and RecBole files give the same events', async () => {
    const tsv = csv.replaceAll('"', '').replace(/,(?! )/g, '\t');
    const recbole = tsv.replace(/.*/, 'user_id:token\titem_id:token\ttimestamp:float');
    for (const [name, content] of [
      ['e.csv', csv],
      ['e.tsv', tsv],
      ['e.jsonl', jsonl],
      ['e.inter', recbole],
      ['crlf.csv', csv.replaceAll('\n', '\r\n')],
      ['mark.csv', `\ufeff${csv}`],
      ['no-end.csv', csv.trimEnd()],
      ['gzip.csv.gz', gzipSync(csv)],
      ['members.csv.gz', Buffer.concat([gzipSync(csv.slice(0, 30)), gzipSync(csv.slice(30))])],
      ['gzip-without-the-name.csv', gzipSync(csv)],
    ] as const) {
      const { rows, summary } = await importAll(await folder.write(name, content));
      expect(rows, name).toMatchObject(expected);
      expect(summary).toMatchObject({ read: 2, stored: 2, users: 2, items: 2, realTimes: true });
    }
  });

  it('zstd is inflated, and a cut-off zstd file is refused', async () => {
    // Made by `zstd` 1.5 from the CSV text below.
    const zst = Buffer.from(ZSTD_EXAMPLE, 'base64');
    const { rows } = await importAll(await folder.write('z.csv.zst', zst));
    expect(rows).toMatchObject([{ userId: 'u1', itemId: 'a' }, { userId: 'u2' }]);
    const cut = await folder.write('cut.csv.zst', zst.subarray(0, zst.length - 9));
    expect(await failure(() => importAll(cut))).toMatch(/damaged or cut off \(zstd/);
  });

  it('Parquet keeps its types: doubles as ids lose their .0, times keep their instant', async () => {
    const path = await parquet(
      'p.parquet',
      `SELECT * FROM (VALUES
         (17850.0, '85123A', TIMESTAMP '2010-12-01 08:26:00', 6, 'UK'),
         (NULL, '71053', TIMESTAMP '2010-12-01 08:27:00', 1, 'UK'),
         (12583.0, 'POST', TIMESTAMP '2010-12-01 08:28:00', -1, 'FR')
       ) t(CustomerID, StockCode, InvoiceDate, Quantity, Country)`,
    );
    const { rows, summary } = await importAll(path, {
      map: { user_id: 'CustomerID', item_id: 'StockCode', timestamp: 'InvoiceDate' },
      where: 'CustomerID IS NOT NULL AND Quantity > 0',
    });
    expect(summary).toMatchObject({ read: 3, stored: 1, filtered: 2, bad: 0 });
    expect(rows).toMatchObject([
      { userId: '17850', itemId: '85123A', timestampMs: Date.UTC(2010, 11, 1, 8, 26) },
    ]);
  });

  it('Parquet rows without a user are bad rows named by their number, when no condition drops them', async () => {
    const path = await parquet(
      'nulls.parquet',
      `SELECT CASE WHEN i <> 3 THEN i * 1.5 END AS user_id, 'x' || i AS item_id FROM range(8) r(i)`,
    );
    const { rows, summary } = await importAll(path, { maxBad: 1 });
    expect(summary.rejects).toMatchObject([{ line: 4, reason: 'user_id_missing' }]);
    expect(rows.map((row) => row.userId).slice(0, 3)).toEqual(['0', '1.5', '3']);
  });

  it('CSV without a header names its columns by their place', async () => {
    const path = await folder.write('bare.csv', `u1,a,5.0,${T}\nu2,b,3.0,${T + 1}\n`);
    const map = { user_id: 'column1', item_id: 'column2', value: 'column3', timestamp: 'column4' };
    const { rows } = await importAll(path, { header: false, map });
    expect(rows).toMatchObject([
      { userId: 'u1', value: 5 },
      { userId: 'u2', value: 3 },
    ]);
  });

  it('ids keep their text: 17850.0 loses its .0 only where every id of the column has one', async () => {
    const all = await folder.write('float.csv', `user_id,item_id\n17850.0,a.0\n\n12.00,b\n`);
    expect((await importAll(all)).rows.map((row) => row.userId)).toEqual(['17850', '12']);
    const some = await folder.write('mixed.csv', `user_id,item_id\n17850.0,a\n007,b\n`);
    expect((await importAll(some)).rows.map((row) => row.userId)).toEqual(['17850.0', '007']);
    const json = await folder.write(
      'big.jsonl',
      '{"user_id":12345678901234567890,"item_id":9007199254740993}\n',
    );
    expect((await importAll(json)).rows).toMatchObject([
      { userId: '12345678901234567890', itemId: '9007199254740993' },
    ]);
  });

  it('ids that differ by case, space or Unicode form stay apart, and the summary says so', async () => {
    const path = await folder.write(
      'alike.csv',
      'user_id,item_id\nAnn,caf\u00e9\nann,cafe\u0301\nann ,x\n',
    );
    const { summary } = await importAll(path);
    expect(summary).toMatchObject({ stored: 3, users: 3, items: 3 });
    expect(summary.notes.join()).toMatch(/2 user ids differ.*1 item ids differ/s);
  });
});

describe('times', () => {
  const at = Date.UTC(2020, 8, 13, 12, 26, 40);
  const times = async (values: readonly (string | number)[], options = {}) => {
    const text = values.map((value, i) => `u,i${i},"${value}"\n`).join('');
    const path = await folder.write('times.csv', `user_id,item_id,timestamp\n${text}`);
    const imported = await importAll(path, { maxBad: 1, ...options });
    return { ...imported, ms: imported.rows.map((row) => row.timestampMs) };
  };

  it('reads seconds, milliseconds, microseconds and nanoseconds by their size, and says which', async () => {
    for (const [value, unit] of [
      [at / 1000, 'seconds'],
      [at, 'milliseconds'],
      [at * 1000, 'microseconds'],
      [`${at}000000`, 'nanoseconds'],
    ] as const) {
      const { ms, summary } = await times([value]);
      expect(ms).toEqual([at]);
      expect(summary.notes.join()).toContain(`are ${unit} since 1970`);
    }
    expect((await times(['1600000000.5'])).ms).toEqual([at + 500]);
  });

  it('refuses the rows of the rarer unit where units are mixed, and names both', async () => {
    const { summary, ms } = await times([T, T + 1, T + 2, at]);
    expect(ms).toHaveLength(3);
    expect(summary.badByReason).toEqual({ timestamp_unit: 1 });
    expect(summary.notes.join()).toMatch(/3 in seconds, 1 in milliseconds/);
    const forced = await times([T, at], { timeUnit: 'ms' });
    expect(forced.summary.badByReason).toEqual({ timestamp_too_early: 1 });
    expect(forced.ms).toEqual([at]);
  });

  it('reads ISO 8601 with and without zone (UTC), dates alone, and a stated format', async () => {
    const iso = [
      '2020-09-13T12:26:40Z',
      '2020-09-13 12:26:40',
      '2020-09-13T14:26:40+02:00',
      '2020-09-13 12:26:40.000',
      '2020-09-13 12:26',
      '2020-09-13',
    ];
    const { ms, summary } = await times(iso);
    expect(ms).toEqual([at, at, at, at, at - 40_000, Date.UTC(2020, 8, 13)]);
    expect(summary.notes.join()).toMatch(/4 times without a zone were read as UTC/);
    const american = await times(['9/13/2020 12:26'], { timeFormat: '%m/%d/%Y %H:%M' });
    expect(american.ms).toEqual([at - 40_000]);
  });

  it('keeps file order where all times are equal, and where there are none', async () => {
    const items = Array.from({ length: 30 }, (_, i) => `i${(i * 17) % 30}`);
    const withTimes = items.map((item) => `u,${item},${T}\n`).join('');
    const equal = await folder.write('equal.csv', `user_id,item_id,timestamp\n${withTimes}`);
    const without = await folder.write(
      'timeless.csv',
      `user_id,item_id\n${items.map((item) => `u,${item}\n`).join('')}`,
    );
    for (const path of [equal, without]) {
      const { rows, summary } = await importAll(path, {}, 'user');
      expect(rows.map((row) => row.itemId)).toEqual(items);
      const data = await buildDataset([rows], { realTimes: summary.realTimes });
      expect(itemsOf(data).map((item) => data.itemIds[item - 1])).toEqual(items);
      expect(data.times === null).toBe(path === without);
    }
    const { summary } = await importAll(without);
    expect(summary).toMatchObject({ realTimes: false, from: null, to: null });
  });
});

describe('event ids', () => {
  const rows = Array.from({ length: 40 }, (_, i) => `u${i % 3},i${i % 5},${T + (i % 4)}\n`);
  const write = (name: string, lines: readonly string[]) =>
    folder.write(name, `user_id,item_id,timestamp\n${lines.join('')}`);

  it('are the same when the file is imported again, longer, or under another condition', async () => {
    const first = await importAll(await write('first.csv', rows));
    const again = await importAll(await write('again.csv', rows));
    expect(again.rows).toEqual(first.rows);
    const longer = await importAll(await write('longer.csv', [...rows, `u0,i9,${T}\n`, ...rows]));
    expect(longer.rows.slice(0, rows.length)).toEqual(first.rows);
    const some = await importAll(await write('some.csv', rows), { where: `item_id <> 'i2'` });
    expect(some.rows).toEqual(first.rows.filter((row) => row.itemId !== 'i2'));
  });

  it('tell equal purchases apart, or count them as duplicates on request', async () => {
    const path = await write('twice.csv', [`u,i,${T}\n`, `u,i,${T}\n`, `u,j,${T}\n`]);
    const kept = await importAll(path);
    expect(kept.summary).toMatchObject({ read: 3, stored: 3, duplicate: 0 });
    expect(new Set(kept.rows.map((row) => row.eventId)).size).toBe(3);
    const dropped = await importAll(path, { repeatedRows: 'drop' });
    expect(dropped.summary).toMatchObject({ read: 3, stored: 2, duplicate: 1 });
  });

  it('that are mapped stay as they are: repeats are duplicates, other content is a conflict', async () => {
    const path = await folder.write(
      'ids.csv',
      `event_id,user_id,item_id,timestamp\ne1,u,i,${T}\ne1,u,i,${T}\ne1,u,j,${T}\n,u,i,${T}\n`,
    );
    const { rows: events, summary } = await importAll(path, { maxBad: 1 });
    expect(events.map((event) => event.eventId)).toEqual(['e1']);
    expect(summary).toMatchObject({ read: 4, stored: 1, duplicate: 1, bad: 2 });
    expect(summary.rejects).toMatchObject([
      { line: 4, reason: 'event_id_conflict', want: expect.stringContaining('line 2') as string },
      { line: 5, reason: 'event_id_missing' },
    ]);
  });
});

describe('the summary', () => {
  it('adds up for every mixture of good, bad, filtered and repeated rows', async () => {
    const kind = fc.constantFrom('good', 'bad', 'filtered', 'repeated');
    await fc.assert(
      fc.asyncProperty(fc.array(kind, { minLength: 1, maxLength: 60 }), async (kinds) => {
        const lines = kinds.map((k, i) => {
          if (k === 'bad') return `u,i${i}`;
          if (k === 'filtered') return `out,i${i},${T},e${i}`;
          return k === 'repeated' ? `u,again,${T},same` : `u,i${i},${T},e${i}`;
        });
        const path = await folder.write(
          'mixture.csv',
          `user_id,item_id,timestamp,event_id\n${lines.join('\n')}\n`,
        );
        const count = (k: string) => kinds.filter((other) => other === k).length;
        const stored = count('good') + Math.min(1, count('repeated'));
        const options = { maxBad: 1, where: `user_id <> 'out'` };
        if (stored === 0) {
          expect(await failure(() => importAll(path, options))).toMatch(/^insufficient_data/);
          return;
        }
        const { summary } = await importAll(path, options);
        expect(summary).toMatchObject({
          read: kinds.length,
          stored,
          duplicate: Math.max(0, count('repeated') - 1),
          filtered: count('filtered'),
          bad: count('bad'),
        });
        expect(summary.read).toBe(
          summary.stored + summary.duplicate + summary.filtered + summary.bad,
        );
      }),
      { numRuns: 20 },
    );
  });

  it('moves rows that the store had already to the duplicates, and refuses more than there were', async () => {
    const path = await folder.write('moved.csv', `user_id,item_id\nu,i\nu,j\n`);
    const { summary } = await importAll(path);
    expect(withAlreadyStored(summary, 2)).toMatchObject({ read: 2, stored: 0, duplicate: 2 });
    expect(() => withAlreadyStored(summary, 3)).toThrow(/does not add up/);
  });
});

describe('sequence files', () => {
  const sequences = (name: string, items: string, times?: string) =>
    folder.write(`${name}.txt`, items).then(async (path) => ({
      kind: 'sequences' as const,
      path,
      ...(times === undefined
        ? {}
        : { timestampsPath: await folder.write(`${name}-times.txt`, times) }),
    }));

  it('give one event an item, with the times of the parallel file', async () => {
    const source = await sequences('two', '1 5 6\n2 5\n', `1 ${T} ${T}\n2 ${T + 1}\n`);
    const { rows, summary } = await importAll(source, {}, 'user');
    expect(rows.map((row) => [row.userId, row.itemId, row.timestampMs])).toEqual([
      ['1', '5', T * 1000],
      ['1', '6', T * 1000],
      ['2', '5', (T + 1) * 1000],
    ]);
    expect(summary).toMatchObject({ read: 3, stored: 3, format: 'sequences' });
  });

  it('refuse lines without items, and lines whose times are of another user or number', async () => {
    const source = await sequences(
      'bad',
      'a 1 2\nb\nc 3 4\nd 5\ne 6\n',
      `a ${T} ${T}\nb\nc ${T}\nx ${T}\n`,
    );
    const { summary } = await importAll(source, { maxBad: 1 });
    expect(summary).toMatchObject({ read: 7, stored: 2, bad: 5 });
    expect(summary.badByReason).toEqual({ times_do_not_match: 4, no_items: 1 });
    expect(summary.rejects.map((reject) => reject.line)).toEqual([2, 3, 3, 4, 5]);
    const longer = await sequences('longer', 'a 1\n', `a ${T}\nb ${T}\n`);
    expect(await failure(() => importAll(longer))).toMatch(/has more lines than/);
  });

  it('may be one user, one user with one event, or one user with 200,000', async () => {
    const many = Array.from({ length: 200_000 }, (_, i) => i % 1000).join(' ');
    for (const [items, n] of [
      ['u 1\n', 1],
      ['u 1 1 1', 3],
      [`u ${many}\n`, 200_000],
    ] as const) {
      const { summary, rows } = await importAll(await sequences('one', items), {}, 'user');
      expect(summary).toMatchObject({ read: n, stored: n, users: 1 });
      expect(rows.at(-1)!.itemId).toBe(items.trim().split(' ').at(-1));
    }
  });

  it('say how many events go back in time', async () => {
    const source = await sequences('back', 'u 1 2\n', `u ${T + 5} ${T}\n`);
    const { summary, rows } = await importAll(source, {}, 'user');
    expect(rows.map((row) => row.itemId)).toEqual(['2', '1']);
    expect(summary.notes.join()).toMatch(/1 events are earlier than the one before them/);
  });
});

describe('--where', () => {
  it('is one condition over the columns: anything else is refused before it runs', async () => {
    const path = await folder.write('where.csv', `user_id,item_id,Quantity\nu,i,1\nu,j,\nu,k,12\n`);
    for (const [where, why] of [
      ['', /is empty/],
      ['Quantity >', /syntax error/],
      ['TRUE; DROP TABLE raw', /syntax error/],
      ['1=1) UNION SELECT 1 FROM source WHERE (1=1', /more than one condition/],
      ['TRUE) ORDER BY (1', /more than one condition/],
      [`item_id IN (SELECT content FROM read_text('/etc/passwd'))`, /has a subquery/],
      ['row_number() OVER () > 1', /has a window function/],
      ['count(*) > 1', /aggregate/i],
      ['Quantiti > 1', /Quantiti.*Columns: user_id, item_id, Quantity/s],
      ['item_id > 5', /explicit cast/],
      ['item_id::INT > 1', /Could not convert/],
    ] as const)
      expect(await failure(() => importAll(path, { where })), where).toMatch(why);
    const kept = async (where: string) =>
      (await importAll(path, { where })).rows.map((row) => row.itemId);
    expect(await kept('Quantity > 2')).toEqual(['k']);
    expect(await kept('Quantity IS NULL -- without a number')).toEqual(['j']);
    expect(await kept(`"Quantity" = 1 OR item_id LIKE '%k'`)).toEqual(['i', 'k']);
  });

  it('sees every key of JSON Lines, also those that only some lines have', async () => {
    const path = await folder.write(
      'where.jsonl',
      `{"user_id":"u","item_id":"i"}\n{"user_id":"u","item_id":"j","odd/key~":3}\n`,
    );
    const { rows, summary } = await importAll(path, { where: '"odd/key~" = 3' });
    expect(rows.map((row) => row.itemId)).toEqual(['j']);
    expect(summary.filtered).toBe(1);
  });
});

describe('memory', () => {
  it('a file larger than the memory limit is imported in order, with little of it in memory', async () => {
    const lines = Array.from(
      { length: 300_000 },
      (_, i) => `user-${(i * 7919) % 100_003}-${'x'.repeat(60)},item-${i % 977},${T + i}\n`,
    );
    const path = await folder.write('large.csv', `user_id,item_id,timestamp\n${lines.join('')}`);
    const { summary, rows } = await importAll(path, { memoryLimitMb: 64, threads: 1 }, 'user');
    expect(summary.stored).toBe(300_000);
    const key = (i: number) => `${rows[i]!.userId} ${rows[i]!.timestampMs}`;
    for (let i = 1; i < rows.length; i++) if (key(i - 1) > key(i)) expect.fail(`row ${i}`);
  });

  it('the test clock, not the machine’s, says what is the future', async () => {
    const path = await folder.write('future.csv', `user_id,item_id,timestamp\nu,i,${T}\n`);
    expect(await failure(() => importAll(path, { nowMs: (T - 3_600) * 1000 }))).toMatch(
      /timestamp_in_future/,
    );
    expect((await importAll(path, { nowMs: NOW_MS })).summary.stored).toBe(1);
  });
});

const ZSTD_EXAMPLE =
  'KLUv/QRYvQEA5AJ1c2VyX2lkLGl0ZW1faWQsdGltZXN0YW1wCnUxLGEsMTYwCnUyLCJiLCBjIjEKAgA4N1IGngblkL4=';
