/** `nestrec tiers recommend`: which size a tier should take, as an evaluation report has it. Changes nothing. */
import { InvalidArgumentError, type Command } from 'commander';
import { modelsAnswerSchema, type EvaluationReport, type ReportedSize } from '@nestrec/contracts';
import { InputNotFound, NoPublishedModel, UsageError } from '@nestrec/errors';
import { getPublished } from '@nestrec/storage';
import { defineAction, type Invocation } from '../command-context.js';
import { metric, percent, short } from '../evaluation-report/figures.js';
import { newestReport, readReport } from '../evaluation-report/report-files.js';
import { renderTable } from '../output.js';
import { dataFolders } from '../platform.js';
import { recommendSize, type SizeRecommendation, type SizeWish } from '../recommend-size.js';
import { directOrRemote } from '../running-server.js';
import type { CliConfig } from '../settings.js';

interface RecommendOptions {
  bytesPerItem?: number;
  minQuality?: number;
  report?: string;
  json?: boolean;
}

export function addRecommend(group: Command, invocation: Invocation): void {
  const command = group
    .command('recommend')
    .description('which size a tier should take, by an evaluation report; changes nothing')
    .option('--bytes-per-item <n>', 'the best size whose item vectors fit n bytes', parseBytes)
    .option(
      '--min-quality <share>',
      "the smallest size shown to have this share of the whole model's NDCG@10, such as .97",
      parseShare,
    )
    .option('--report <file>', 'a report.json; default: the newest of the published version')
    .addHelpText(
      'after',
      '\nExamples:\n  nestrec evaluate --report quality\n  nestrec tiers recommend --min-quality .97\n' +
        '  nestrec tiers recommend --bytes-per-item 256 --report quality/report.json',
    );
  defineAction<RecommendOptions>(
    command,
    invocation,
    async ({ config, output }, _args, options) => {
      const wish = wishOf(options);
      const path = options.report ?? (await newestOfPublished(config));
      const report = await readReport(path);
      const found = recommendSize(report, wish);
      const { model, data, createdAt } = report;
      output.result(
        {
          version: model.version,
          protocol: data.protocol,
          measuredAt: createdAt,
          report: path,
          dim: found.size.dim,
          ...found,
        },
        renderRecommendation(report, found),
      );
    },
  );
}

function wishOf({ bytesPerItem, minQuality }: RecommendOptions): SizeWish {
  if (bytesPerItem !== undefined && minQuality === undefined) return { bytesPerItem };
  if (minQuality !== undefined && bytesPerItem === undefined) return { minQuality };
  const got = bytesPerItem === undefined ? 'neither' : 'both';
  throw new UsageError({
    detail: `Got ${got} of --bytes-per-item and --min-quality; wanted exactly one.`,
  });
}

/** @throws NoPublishedModel; InputNotFound where the published version was never measured here */
async function newestOfPublished(config: CliConfig): Promise<string> {
  const version = await directOrRemote(
    config,
    async ({ db }) => (await getPublished(db))?.version ?? null,
    async (ask) => (await ask('GET', '/v1/models', modelsAnswerSchema)).published,
  );
  if (version === null) {
    throw new NoPublishedModel({ detail: 'Name a report with --report FILE.' });
  }
  const { reports } = dataFolders(config);
  const path = await newestReport(reports, version);
  if (path !== null) return path;
  throw new InputNotFound({
    detail: `${reports} holds no report of ${version}. Run nestrec evaluate --report DIR first, or name one with --report FILE.`,
  });
}

function renderRecommendation(
  { model, data, createdAt }: EvaluationReport,
  { size, why, smaller, larger }: SizeRecommendation,
): string {
  const row = (name: string, one: ReportedSize | null) => (one === null ? [] : [rowOf(name, one)]);
  const table = renderTable(
    ['', 'size', 'bytes per item', 'median ms', 'NDCG@10', 'share of the whole'],
    [...row('next smaller', smaller), ...row('recommended', size), ...row('next larger', larger)],
  );
  return (
    `Take ${size.dim}. ${why}\n${table}\n` +
    `${model.version}, ${data.protocol}, ${data.cases} test cases, seen items masked, measured ${createdAt}.\n` +
    `nestrec tiers set NAME --max-dim ${size.dim}`
  );
}

const rowOf = (
  name: string,
  { dim, bytesPerItem, medianMs, ndcg10, shareOfFull }: ReportedSize,
) => [
  name,
  String(dim),
  String(bytesPerItem),
  short(medianMs),
  `${metric(ndcg10.mean)} (${metric(ndcg10.low)} to ${metric(ndcg10.high)})`,
  shareOfFull === null
    ? '-'
    : `${percent(shareOfFull.mean)} (${percent(shareOfFull.low)} to ${percent(shareOfFull.high)})`,
];

function parseBytes(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('wanted a whole number from 1.');
}

function parseShare(text: string): number {
  const share = Number(text);
  if (text.trim() !== '' && share > 0 && share <= 1) return share;
  throw new InvalidArgumentError('wanted a share above 0 and up to 1, such as .97.');
}
