import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InputNotFound, InvalidInput, isError } from '@nestrec/errors';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exampleReport } from '../../../../tests/helpers/example-report.js';
import { keepReport, newestReport, readReport, writeReport } from './report-files.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestrec-reports-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('report files', () => {
  it('are read as they were written, beside a page', async () => {
    const report = exampleReport();
    const { json, html } = await writeReport(join(folder, 'new', 'deep'), report);
    expect(await readReport(json)).toEqual(report);
    expect(await readFile(html, 'utf8')).toMatch(/^<!DOCTYPE html>/);
  });

  it('are found by version, the newest first', async () => {
    const kept = join(folder, 'kept');
    expect(await newestReport(kept, 'v1')).toBeNull();
    const times = [
      '2026-11-27T04:00:00.001Z',
      '2026-11-27T05:00:00.000Z',
      '2026-11-26T23:00:00.000Z',
    ];
    for (const createdAt of times) await keepReport(kept, exampleReport({ createdAt }));
    const path = await newestReport(kept, 'v1');
    expect((await readReport(path!)).createdAt).toBe('2026-11-27T05:00:00.000Z');
    expect(await newestReport(kept, 'v2')).toBeNull();
  });

  it('are refused with the reason where they are none', async () => {
    const path = join(folder, 'other.json');
    const refusal = () => readReport(path).catch((error: unknown) => error);
    expect(isError(await refusal(), InputNotFound)).toBe(true);
    await writeFile(path, '{');
    expect(isError(await refusal(), InvalidInput)).toBe(true);
    await writeFile(path, JSON.stringify({ ...exampleReport(), formatVersion: 99 }));
    expect(String(await refusal())).toContain('formatVersion');
  });
});
