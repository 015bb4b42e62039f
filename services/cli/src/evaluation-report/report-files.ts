/**
 * Where reports lie: `report.json` and `report.html` in the folder that was asked for, and a copy of the JSON in the
 * data folder, so that later commands find the newest report of a version.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { evaluationReportSchema, type EvaluationReport } from '@nestrec/contracts';
import { excerpt, InputNotFound, InvalidInput } from '@nestrec/errors';
import { writeFileAtomic } from '@nestrec/runtime';
import { renderReport } from './render-report.js';

export interface ReportPaths {
  readonly json: string;
  readonly html: string;
}

export async function writeReport(folder: string, report: EvaluationReport): Promise<ReportPaths> {
  const paths = { json: join(folder, 'report.json'), html: join(folder, 'report.html') };
  await mkdir(folder, { recursive: true });
  await writeFileAtomic(paths.json, jsonOf(report));
  await writeFileAtomic(paths.html, renderReport(report));
  return paths;
}

const jsonOf = (report: EvaluationReport) => `${JSON.stringify(report, null, 2)}\n`;

/** Keeps a report among those of its version. */
export async function keepReport(reportsDir: string, report: EvaluationReport): Promise<void> {
  const folder = join(reportsDir, report.model.version);
  await mkdir(folder, { recursive: true });
  // Names sort by time.
  await writeFileAtomic(
    join(folder, `${report.createdAt.replace(/\D/g, '')}.json`),
    jsonOf(report),
  );
}

/** The file of the newest report of a version; null where there is none. */
export async function newestReport(reportsDir: string, version: string): Promise<string | null> {
  const folder = join(reportsDir, version);
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const newest = names
    .filter((name) => /^\d+\.json$/.test(name))
    .sort()
    .at(-1);
  return newest === undefined ? null : join(folder, newest);
}

/** @throws InputNotFound, InvalidInput */
export async function readReport(path: string): Promise<EvaluationReport> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new InputNotFound({
      detail: `${path} cannot be read; nestrec evaluate --report DIR writes one.`,
      cause,
    });
  });
  const parsed = evaluationReportSchema.safeParse(parseJson(text, path));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new InvalidInput({
    detail:
      `${path} is no evaluation report that this nestrec reads: ` +
      `${excerpt(issue!.path.join('.') || 'the top level')}: ${excerpt(issue!.message)}. ` +
      'Measure again with nestrec evaluate --report DIR.',
  });
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new InvalidInput({ detail: `${path} is no JSON; wanted a report.json.`, cause });
  }
}
