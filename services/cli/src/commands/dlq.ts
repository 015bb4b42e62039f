/** `nestrec dlq list|show|replay|purge`: records of the event log that were set aside. */
import { InvalidArgumentError, type Command } from 'commander';
import { InvalidParameter } from '@nestrec/errors';
import { openEventLog } from '@nestrec/event-log';
import { REJECT_REASONS, replayRejects, type ReplaySummary } from '@nestrec/ingest';
import { systemClock } from '@nestrec/runtime';
import {
  countRejectsByReason,
  getReject,
  listRejectSummaries,
  purgeRejects,
  type RejectFilter,
} from '@nestrec/storage';
import { defineAction, type Invocation } from '../command-context.js';
import { describeReject, presentReject, presentSummary, summaryTable } from '../dlq/present.js';
import { withPlatform } from '../platform.js';

interface FilterOptions {
  reason?: string;
  since?: number;
  limit?: number;
  json?: boolean;
}

export function addDlq(program: Command, invocation: Invocation): void {
  const group = program
    .command('dlq')
    .description('dead letters: records of the event log that were set aside');
  addList(group, invocation);
  addShow(group, invocation);
  addReplay(group, invocation);
  addPurge(group, invocation);
}

function withFilter(command: Command): Command {
  return command
    .option('--reason <reason>', 'only those with this reason', parseReason)
    .option('--since <time>', 'only those set aside then or later, RFC 3339', parseTime);
}

const filterOf = ({ reason, since }: FilterOptions): RejectFilter => ({
  ...(reason === undefined ? {} : { reason }),
  ...(since === undefined ? {} : { sinceMs: since }),
});

function addList(group: Command, invocation: Invocation): void {
  const command = withFilter(group.command('list'))
    .description('what was set aside and why, the newest first')
    .option('--limit <count>', 'rows at most; default 100', parseCount)
    .addHelpText(
      'after',
      '\nExamples:\n  nestrec dlq list\n  nestrec dlq list --reason not_json --since 2026-11-23T00:00:00Z --json',
    );
  defineAction<FilterOptions>(command, invocation, ({ config, output }, _args, options) =>
    withPlatform(config, async ({ db }) => {
      const filter = filterOf(options);
      const rejects = await listRejectSummaries(db, { ...filter, limit: options.limit ?? 100 });
      const counts = await countRejectsByReason(db, filter);
      const total = [...counts.values()].reduce((sum, count) => sum + Number(count), 0);
      const byReason = [...counts].map(([reason, count]) => `${count} ${reason}`).join(', ');
      output.result(
        {
          rejects: rejects.map(presentSummary),
          total,
          by_reason: Object.fromEntries([...counts].map(([reason, n]) => [reason, Number(n)])),
        },
        total === 0
          ? 'Nothing was set aside.'
          : `${summaryTable(rejects)}\n${rejects.length} of ${total}: ${byReason}`,
      );
    }),
  );
}

interface ShowOptions {
  raw?: boolean;
  json?: boolean;
}

function addShow(group: Command, invocation: Invocation): void {
  const command = group
    .command('show')
    .description('one record that was set aside, with its bytes')
    .argument('<topic>', 'topic that it was read from, as `nestrec dlq list` shows it')
    .argument('<partition>', 'its partition', parseIndex)
    .argument('<offset>', 'its offset', parseOffset)
    .option('--raw', 'write the bytes of the value to standard output, and nothing else')
    .addHelpText(
      'after',
      '\nExamples:\n  nestrec dlq show interactions.v1 0 17\n  nestrec dlq show interactions.v1 0 17 --raw > record',
    );
  defineAction<ShowOptions>(command, invocation, ({ config, output }, args, options) => {
    if (options.raw === true && options.json === true) {
      command.error("error: options '--raw' and '--json' cannot be used together");
    }
    const [topic, partition, offset] = args as unknown as [string, number, bigint];
    return withPlatform(config, async ({ db }) => {
      const reject = await getReject(db, { topic, partition, offset });
      if (reject === null) {
        throw new InvalidParameter({
          detail: `Record ${offset} of partition ${partition} of ${topic} was not set aside; see nestrec dlq list.`,
        });
      }
      if (options.raw !== true) output.result(presentReject(reject), describeReject(reject));
      else if (reject.value === null) output.note('The record has no value.');
      else invocation.streams.stdout.write(reject.value);
    });
  });
}

interface ReplayCommandOptions extends FilterOptions {
  dryRun?: boolean;
}

function addReplay(group: Command, invocation: Invocation): void {
  const command = withFilter(group.command('replay'))
    .description('append those to the event log again that pass validation now')
    .option('--limit <count>', 'look at this many at most, the oldest first', parseCount)
    .option('--dry-run', 'say what would be done, change nothing')
    .addHelpText(
      'after',
      `
Those that fail stay. Replaying twice stores nothing twice: events are known by their event_id. Records with
the reason event_id_conflict are left out unless --reason names it: they pass, and conflict again.

Examples:
  nestrec dlq replay --dry-run
  nestrec dlq replay --reason future_timestamp`,
    );
  defineAction<ReplayCommandOptions>(command, invocation, ({ config, output }, _args, options) =>
    withPlatform(config, async ({ db, logger }) => {
      const log = openEventLog({ config, db, logger });
      const bar = output.progress('Replaying', options.limit ?? 0);
      const dryRun = options.dryRun ?? false;
      const deps = { db, log: log.events, clock: systemClock };
      const summary = await replayRejects(deps, {
        ...filterOf(options),
        ...(options.limit === undefined ? {} : { limit: options.limit }),
        dryRun,
        onProgress: (examined, total) => {
          bar.setTotal(total);
          bar.update(examined, `${examined} of ${total}`);
        },
      }).finally(() => {
        bar.stop();
        return log.close();
      });
      output.result({ ...summary, dry_run: dryRun }, describeReplay(summary, dryRun));
    }),
  );
}

function describeReplay({ examined, replayed, failing }: ReplaySummary, dryRun: boolean): string {
  const reasons = Object.entries(failing);
  const failed = reasons.reduce((sum, [, count]) => sum + count, 0);
  const done = dryRun ? 'would be appended again' : 'appended again';
  return [
    `${examined} looked at: ${replayed} ${done}, ${failed} still fail.`,
    ...reasons.map(([reason, count]) => `  ${reason}: ${count}`),
  ].join('\n');
}

function addPurge(group: Command, invocation: Invocation): void {
  const command = group
    .command('purge')
    .description('delete what was set aside before a time')
    .requiredOption('--before <time>', 'RFC 3339 with a zone', parseTime)
    .addHelpText(
      'after',
      `
What the topic of dead letters still waits for stays.

Example:
  nestrec dlq purge --before 2026-10-01T00:00:00Z`,
    );
  defineAction<{ before: number; json?: boolean }>(
    command,
    invocation,
    ({ config, output }, _args, { before }) =>
      withPlatform(config, async ({ db }) => {
        const keepUnsent = config.kafkaBrokers !== null;
        const purged = await purgeRejects(db, { beforeMs: before, keepUnsent });
        output.result({ purged }, `Deleted ${purged}.`);
      }),
  );
}

function parseReason(text: string): string {
  if (Object.hasOwn(REJECT_REASONS, text)) return text;
  throw new InvalidArgumentError(`wanted one of ${Object.keys(REJECT_REASONS).join(', ')}.`);
}

function parseTime(text: string): number {
  const ms = Date.parse(text);
  if (/T.*(Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(ms)) return ms;
  throw new InvalidArgumentError('wanted a time such as 2027-01-31T00:00:00Z.');
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('wanted a number from 1 to 9999999.');
}

function parseIndex(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('wanted the number of a partition, such as 0.');
}

function parseOffset(text: string): bigint {
  if (/^\d{1,18}$/.test(text)) return BigInt(text);
  throw new InvalidArgumentError('wanted an offset, such as 17.');
}
