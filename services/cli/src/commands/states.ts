/** `nestrec states verify`: whether the stored states are what the model says of the stored events. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { DataFolderInUse, isError, ModelNotFound, NoPublishedModel } from '@nestrec/errors';
import { loadArtifact } from '@nestrec/registry';
import { createUserHash } from '@nestrec/runtime';
import { getPublished, getVersion } from '@nestrec/storage';
import { chooseBackend } from '../backend.js';
import { defineAction, type CommandContext, type Invocation } from '../command-context.js';
import { renderTable } from '../output.js';
import { withPlatform, type Platform } from '../platform.js';
import { findServer } from '../running-server.js';
import { verifyStates, type StatesReport } from '../states/verify-states.js';

const DEFAULT_SAMPLE = 1_000;

interface VerifyOptions {
  sample?: number;
  all?: boolean;
  seed: number;
  repair?: boolean;
  json?: boolean;
}

export function addStates(program: Command, invocation: Invocation): void {
  const group = program.command('states').description('recurrent states of users');
  addVerify(group, invocation);
}

function addVerify(group: Command, invocation: Invocation): void {
  const command = group
    .command('verify')
    .description(
      'compare states with their events: refolded, and by the batch model at every size; exit code 1 where one differs',
    )
    .option('--sample <users>', `how many users; default: ${DEFAULT_SAMPLE}`, parseUsers)
    .addOption(new Option('--all', 'every user').conflicts('sample'))
    .option('--seed <number>', 'of the sample', parseSeed, 1)
    .option('--repair', 'delete wrong states: the next event or request rebuilds them')
    .addHelpText('after', '\nExample:\n  nestrec states verify --all --json');
  defineAction<VerifyOptions>(command, invocation, async (context, _args, options) => {
    const report = await withDataFolder(context, (platform) => verify(context, platform, options));
    context.output.result(report, renderReport(report));
    if (!report.passed) process.exitCode = 1;
  });
}

async function verify(
  context: CommandContext,
  { db }: Platform,
  options: VerifyOptions,
): Promise<StatesReport> {
  const { config, output } = context;
  const published = await getPublished(db);
  if (published === null) {
    throw new NoPublishedModel({ detail: 'There are no states without a published model.' });
  }
  const version = await getVersion(db, published.version);
  if (version === null) {
    throw new ModelNotFound({ detail: `${published.version} is not in model_versions.` });
  }
  await chooseBackend(context);
  const artifact = await loadArtifact(version.path);
  const sample = options.all === true ? null : (options.sample ?? DEFAULT_SAMPLE);
  output.note(`Verifying states of ${sample ?? 'all'} users under ${published.version} ...`);
  return verifyStates(db, artifact, {
    ...{ sample, seed: options.seed, repair: options.repair ?? false },
    hashUser: createUserHash(config.logHashKey),
    onProgress: createNotes(output.note),
  });
}

/** Runs `work` on the data; where a server holds the folder, says what that server does itself. */
async function withDataFolder<T>(
  { config }: CommandContext,
  work: (platform: Platform) => Promise<T>,
): Promise<T> {
  try {
    return await withPlatform(config, work);
  } catch (error) {
    if (!isError(error, DataFolderInUse) || (await findServer(config)) === null) throw error;
    throw new DataFolderInUse({
      detail:
        'A running server holds it. It verifies random states by itself, see rec_state_mismatch_total in /metrics; stop it to verify more.',
      cause: error,
    });
  }
}

const NOTE_INTERVAL_MS = 5_000;

function createNotes(note: (text: string) => void): (users: number) => void {
  let lastMs = Date.now();
  return (users) => {
    if (Date.now() - lastMs < NOTE_INTERVAL_MS) return;
    lastMs = Date.now();
    note(`${users} users ...`);
  };
}

const LABELS: Readonly<Record<keyof StatesReport['findings'], string>> = {
  same: 'equal to their events',
  different: 'DIFFERENT from their events',
  unreadable: 'UNREADABLE',
  absent: 'without a state, made at the next touch',
  other_version: 'of another version, rebuilt at the next touch',
  vectors_replaced: 'with item vectors replaced since, rebuilt at the next touch',
  unknown_items: 'with events of unknown items, rebuilt at the next touch',
};

function renderReport(report: StatesReport): string {
  const kinds = Object.keys(LABELS) as (keyof typeof LABELS)[];
  const counts = renderTable(
    ['users', String(report.users)],
    kinds.map((kind) => [LABELS[kind], String(report.findings[kind])]),
  );
  const worst = [{ dim: 'state', ...report.worstState }, ...report.worstQuery];
  const errors = renderTable(
    ['compared', 'greatest relative error', 'user (hash)'],
    worst.map(({ dim, error, user }) => [
      typeof dim === 'number' ? `query at ${dim}` : dim,
      user === null ? '-' : error.toExponential(1),
      user ?? '-',
    ]),
  );
  const faults = report.faults.map(({ user, detail }) => `  ${user}: ${detail}`);
  return [counts, errors, ...faults, verdict(report)].join('\n');
}

function verdict({ mismatches, repaired, findings }: StatesReport): string {
  if (mismatches === 0 && findings.same === 0) {
    return 'No state could be compared: nothing is shown to be wrong, and nothing to be right.';
  }
  if (mismatches === 0) return `All ${findings.same} compared states agree with their events.`;
  const cure =
    repaired > 0
      ? `${repaired} deleted: the next event or request of the user rebuilds them`
      : 'run again with --repair to delete them, so that the next event or request rebuilds them';
  return `${mismatches} states are not what their events say; ${cure}.`;
}

function parseUsers(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('wanted a number of users, such as 1000.');
}

function parseSeed(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('wanted a whole number, such as 1.');
}
