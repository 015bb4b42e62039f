/**
 * Trains on Amazon Beauty and prints NDCG, Recall and MRR of every size beside every baseline:
 *
 *   npm run bench:quality -- --data ../shared/data/amazon-beauty
 *
 * The figures of docs/results.md come from here. Settings are chosen on validation only (--parts
 * validation while experimenting); the test rows are read once the settings stand.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, release, totalmem, type as systemName } from 'node:os';
import { join } from 'node:path';
import { NestrecError, UsageError } from '@nestrec/errors';
import { BACKENDS, selectBackend } from '@nestrec/tensor';
import type { TrainingProgress } from '@nestrec/training';
import { parseArguments, USAGE, type QualityArguments } from './quality/arguments.js';
import { readBeauty, type QualityData } from './quality/beauty.js';
import { aloneMarkdown, runAlone, type AloneResult } from './quality/alone.js';
import { runProtocol, type ProtocolResult } from './quality/run-protocol.js';
import { figure, qualityMarkdown } from './quality/table.js';

/** Between two lines of progress on stderr. */
const PROGRESS_EVERY_MS = 10_000;

function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

function progressPrinter(): (progress: TrainingProgress) => void {
  let printedMs = 0;
  return (progress) => {
    if (progress.kind === 'note') return note(progress.text);
    if (progress.kind === 'epoch') {
      const { record, best } = progress;
      const sizes = Object.entries(record.bySize).map(([size, v]) => `@${size} ${figure(v)}`);
      const mark = best ? ' *' : '';
      return note(
        `epoch ${record.epoch}: loss ${record.loss.toFixed(4)}, validation NDCG@10 ` +
          `${sizes.join(' ')} (mean ${record.primary?.toFixed(5) ?? '-'}), ` +
          `max|lambda| ${record.lambdaMax.toFixed(3)}${mark}`,
      );
    }
    if (performance.now() - printedMs < PROGRESS_EVERY_MS) return;
    printedMs = performance.now();
    const { epoch, step, totalSteps, loss, usersPerSecond, etaSeconds } = progress;
    note(
      `  epoch ${epoch}, step ${step} of ${totalSteps}: loss ${loss.toFixed(4)}, ` +
        `${usersPerSecond.toFixed(0)} users/s, at most ${Math.ceil(etaSeconds / 60)} min left`,
    );
  };
}

function commit(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

function machine(): string {
  const processors = cpus();
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  const model = processors[0]?.model.trim() ?? 'unknown processor';
  return `${processors.length} x ${model}, ${memory} GiB, ${systemName()} ${release()}, Node ${process.version}`;
}

function markdown(results: readonly ProtocolResult[]): string[] {
  return results.flatMap((result) => {
    const lines = [`### ${result.protocol}`, trainingLines(result), qualityMarkdown(result.rows)];
    if (result.sameDay.length > 0) {
      lines.push(
        qualityMarkdown(result.sameDay, ', bought on the day of the event before'),
        qualityMarkdown(result.later, ', bought on a later day'),
      );
    }
    return lines;
  });
}

function trainingLines({ split, model, sasrec, reportSeconds }: ProtocolResult): string {
  const took = (seconds: number) => `${(seconds / 60).toFixed(1)} min`;
  const nested =
    model === null
      ? ''
      : ` Model: ${took(model.seconds)} (${model.epochs.length} epochs, best ${model.bestEpoch}); ` +
        `max|lambda| ${model.lambdaMax.toFixed(3)}; weights ${model.weightsSha256.slice(0, 16)}.`;
  const beside = sasrec.map(
    ({ settings, seconds, epochs, bestEpoch }) =>
      ` SASRec ${settings.width}: ${took(seconds)} (${epochs.length} epochs, best ${bestEpoch}).`,
  );
  return (
    `${split.trainEvents} training events; report ${reportSeconds.toFixed(0)} s.` +
    `${nested}${beside.join('')} Minutes are those of this process.`
  );
}

async function run(args: QualityArguments): Promise<void> {
  const force = BACKENDS.find((name) => name === args.backend);
  if (args.backend !== null && force === undefined) {
    throw new UsageError({
      detail: `--backend is "${args.backend}"; wanted one of ${BACKENDS.join(', ')}`,
    });
  }
  const backend = await selectBackend({ force });
  note(backend.line);
  const started = new Date();
  const data = await readBeauty(args.data, args.features, args.seed);
  const { offsets, itemIds, items } = data.dataset;
  note(`${offsets.length - 1} users, ${itemIds.length} items, ${items.length} events`);
  if (args.out !== null) await mkdir(args.out, { recursive: true });
  const { results, text } =
    args.alone.length > 0 ? await alone(args, data) : await tables(args, data);
  const about = {
    command: `npm run bench:quality -- ${process.argv.slice(2).join(' ')}`,
    date: started.toISOString(),
    minutes: (Date.now() - started.getTime()) / 60_000,
    backend: backend.name,
    machine: machine(),
    commit: commit(),
    seed: args.seed,
    features: args.features,
  };
  const json = JSON.stringify({ ...about, results }, null, 2);
  const head = [
    `Command \`${about.command}\`, ${about.date}, ${about.minutes.toFixed(1)} min in all, backend ` +
      `${about.backend}, ${about.machine}, commit ${about.commit}, seed ${about.seed}.`,
  ];
  const page = [...head, ...text].join('\n\n');
  process.stdout.write(`${args.json ? json : page}\n`);
  if (args.out !== null) {
    await writeFile(join(args.out, 'quality.json'), `${json}\n`);
    await writeFile(join(args.out, 'quality.md'), `${page}\n`);
  }
}

async function tables(args: QualityArguments, data: QualityData) {
  const results: ProtocolResult[] = [];
  for (const protocol of args.protocols) {
    note(`training: ${protocol}`);
    results.push(await runProtocol(args, data, protocol, progressPrinter()));
  }
  return { results, text: markdown(results) };
}

async function alone(args: QualityArguments, data: QualityData) {
  const results: AloneResult[] = [];
  for (const protocol of args.protocols)
    results.push(await runAlone({ ...args, out: args.out! }, data, protocol, progressPrinter()));
  return { results, text: results.map(aloneMarkdown) };
}

try {
  const args = parseArguments(process.argv.slice(2));
  if (args === null) process.stdout.write(USAGE);
  else await run(args);
} catch (error) {
  if (!(error instanceof NestrecError)) throw error;
  note(error.message);
  if (error.traits.exitCode === 70) console.error(error.cause ?? error);
  process.exitCode = error.traits.exitCode;
}
