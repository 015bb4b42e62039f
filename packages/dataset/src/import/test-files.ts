/** Files for the import tests: a temporary folder per test file, and short forms of the importers. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NestrecError } from '@nestrec/errors';
import { importInteractions } from './interactions.js';
import type {
  InteractionImportOptions,
  InteractionImportSummary,
  InteractionRow,
  InteractionSource,
} from './types.js';

export const NOW_MS = Date.UTC(2026, 0, 1);

export interface TestFolder {
  readonly path: string;
  write(name: string, content: string | Uint8Array): Promise<string>;
  remove(): Promise<void>;
}

export async function makeTestFolder(): Promise<TestFolder> {
  const path = await mkdtemp(join(tmpdir(), 'nestrec-dataset-test-'));
  return {
    path,
    async write(name, content) {
      await writeFile(join(path, name), content);
      return join(path, name);
    },
    remove: () => rm(path, { recursive: true, force: true }),
  };
}

export interface Imported {
  readonly summary: InteractionImportSummary;
  readonly rows: InteractionRow[];
}

/** Imports everything into memory. */
export async function importAll(
  source: string | InteractionSource,
  options: Partial<InteractionImportOptions> = {},
  order: 'file' | 'user' = 'file',
): Promise<Imported> {
  const given = typeof source === 'string' ? { kind: 'table' as const, path: source } : source;
  const imported = await importInteractions(given, { nowMs: NOW_MS, ...options });
  try {
    const rows: InteractionRow[] = [];
    for await (const batch of imported.batches({ order })) rows.push(...batch);
    return { summary: imported.summary, rows };
  } finally {
    await imported.close();
  }
}

/** The error that `work` fails with, as `code: message`. */
export async function failure(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof NestrecError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'no failure';
}
