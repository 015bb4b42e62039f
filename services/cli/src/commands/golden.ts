/** `nestrec golden FILE...`: checks the model code against oracle files of any implementation. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { InputNotFound, InvalidInput, UsageError } from '@nestrec/errors';
import { compareGolden, type GoldenReport } from '@nestrec/model';
import { selectBackend } from '@nestrec/tensor';
import { defineAction, type Invocation } from '../command-context.js';
import { renderTable } from '../output.js';

const PARTS = [
  'scoresLast',
  'scoresAllLargest',
  'losses',
  'gradients',
  'gradientNorm',
  'finalParameters',
] as const;

export function addGolden(program: Command, invocation: Invocation): void {
  const command = program
    .command('golden')
    .description('compare the model code with oracle files: scores, losses, gradients, parameters')
    .argument('<file...>', 'JSON files in the format of the golden vectors (docs/model.md)')
    .option('--tolerance <number>', 'greatest relative error that passes', '1e-4')
    .addHelpText(
      'after',
      '\nExample:\n  nestrec golden one-block.json two-blocks.json --tolerance 1e-4',
    );
  defineAction<{ tolerance: string; json?: boolean }>(
    command,
    invocation,
    async (context, files, options) => {
      const { output } = context;
      const tolerance = parseTolerance(options.tolerance);
      // Code is checked, not speed: the same answer on every machine, unless the settings name a backend.
      const backend = await selectBackend({ force: context.config.backend ?? 'wasm' });
      output.note(`backend ${backend.name}`);
      const reports: (GoldenReport & { file: string; passed: boolean })[] = [];
      for (const file of files) {
        const report = await compareGolden(await readJson(file));
        // Written so that NaN fails.
        reports.push({ ...report, file, passed: report.greatest <= tolerance });
      }
      const passed = reports.every((report) => report.passed);
      output.result(
        { backend: backend.name, tolerance, reports, passed },
        renderTable(
          ['file', ...PARTS, 'worst', 'passed'],
          reports.map(({ file, errors, worst, passed: fine }) => [
            file,
            ...PARTS.map((part) => errors[part]?.toExponential(2) ?? '-'),
            worst,
            fine ? 'yes' : 'NO',
          ]),
        ),
      );
      if (!passed) process.exitCode = 1;
    },
  );
}

function parseTolerance(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value;
  throw new UsageError({ detail: `--tolerance: got "${text}", wanted a number above 0.` });
}

async function readJson(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new InputNotFound({ detail: `${file}: ${cause.code ?? 'cannot be read'}.`, cause });
  });
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new InvalidInput({ detail: `${file} is not valid JSON.`, cause });
  }
}
