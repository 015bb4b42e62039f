import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readRecords, type CsvRecord } from './csv-records.js';
import { readLines } from './lines.js';

async function* chunksOf(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function parse(text: string, chunk = 7, maxLineBytes?: number): Promise<CsvRecord[]> {
  const records: CsvRecord[] = [];
  const lines = readLines(chunksOf(Buffer.from(text), chunk), maxLineBytes);
  for await (const batch of readRecords(lines, { delimiter: ',', quotes: true }))
    records.push(...batch);
  return records;
}

const quote = (field: string) => `"${field.replaceAll('"', '""')}"`;

describe('CSV records', () => {
  it('give back every table that was written with quotes, however the bytes are cut', async () => {
    const field = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', 'é', ' ', '\u{1F600}') });
    const table = fc.array(fc.array(field, { minLength: 2, maxLength: 4 }), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(table, fc.integer({ min: 1, max: 9 }), async (rows, chunk) => {
        const text = rows.map((row) => row.map(quote).join(',')).join('\r\n');
        const records = await parse(text, chunk);
        expect(records.map((record) => record.fields)).toEqual(rows);
        expect(records.every((record) => record.fault === null)).toBe(true);
      }),
    );
  });

  it('name the line on which each record begins, past quoted line ends and empty lines', async () => {
    const records = await parse('a,b\n"x\n\ny",1\n\n2,3\n');
    expect(records.map((record) => record.line)).toEqual([1, 2, 6]);
    expect(records[1]!.fields).toEqual(['x\n\ny', '1']);
  });

  it('take a quote inside an unquoted field as it is', async () => {
    const [record] = await parse('5" tall,a"b"\n');
    expect(record).toMatchObject({ fields: ['5" tall', 'a"b"'], fault: null });
  });

  it('go on after a line that is too long, however long it is', async () => {
    const records = await parse(`a,b\n${'x'.repeat(500)}\nc,d\n`, 64, 100);
    expect(records.map((record) => record.fault?.reason ?? null)).toEqual([
      null,
      'line_too_long',
      null,
    ]);
    expect(records[2]).toMatchObject({ line: 3, fields: ['c', 'd'] });
  });

  it('lose one line to a quote that the end of the file leaves open', async () => {
    const records = await parse('a,b\nc,"d\ne,f\ng,h\n');
    expect(records.map((record) => [record.line, record.fault?.reason ?? null])).toEqual([
      [1, null],
      [2, 'unclosed_quote'],
      [3, null],
      [4, null],
    ]);
  });
});
