/** `nestrec runs list|show|cancel`: training runs, whoever asked for them. */
import type { Command } from 'commander';
import { presentTrainingRun } from '@nestrec/api';
import {
  trainingRunAnswerSchema,
  trainingRunsAnswerSchema,
  type TrainingRunAnswer,
} from '@nestrec/contracts';
import { InvalidParameter, TrainingRunNotFound } from '@nestrec/errors';
import { cancelTrainingRun, getTrainingRun, listTrainingRuns } from '@nestrec/storage';
import { defineAction, type Invocation } from '../command-context.js';
import { renderTable } from '../output.js';
import { directOrRemote } from '../running-server.js';
import { count } from '../training-options.js';

const MAX_LISTED = 100;

export function addRuns(program: Command, invocation: Invocation): void {
  const group = program.command('runs').description('training runs');
  addList(group, invocation);
  addShow(group, invocation);
  addCancel(group, invocation);
}

function addList(group: Command, invocation: Invocation): void {
  const command = group
    .command('list')
    .description('the newest training runs')
    .option('--limit <number>', 'how many', count(1, MAX_LISTED), 20)
    .addHelpText('after', '\nExample:\n  nestrec runs list --limit 5');
  defineAction<{ limit: number; json?: boolean }>(
    command,
    invocation,
    async ({ config, output }, _args, { limit }) => {
      const { runs } = await directOrRemote(
        config,
        async ({ db }) => ({ runs: (await listTrainingRuns(db, limit)).map(presentTrainingRun) }),
        (ask) => ask('GET', `/v1/training-runs?limit=${limit}`, trainingRunsAnswerSchema),
      );
      const rows = runs.map((run) => [
        ...[run.id, run.requested_at, run.requested_by, run.mode, run.status],
        ...[run.version ?? '', run.published ? 'yes' : '', run.reason?.slice(0, 60) ?? ''],
      ]);
      const head = ['id', 'requested', 'by', 'mode', 'status', 'version', 'published', 'reason'];
      output.result({ runs }, renderTable(head, rows));
    },
  );
}

function addShow(group: Command, invocation: Invocation): void {
  const command = group
    .command('show')
    .description('one run: how far it is, or how it ended')
    .argument('<id>', 'number of the run, as `nestrec runs list` shows it')
    .addHelpText('after', '\nExample:\n  nestrec runs show 17 --json');
  defineAction(command, invocation, async ({ config, output }, [id]) => {
    const run = await directOrRemote(
      config,
      async ({ db }) => present(await getTrainingRun(db, idOf(id!))),
      (ask) => ask('GET', `/v1/training-runs/${idOf(id!)}`, trainingRunAnswerSchema),
    );
    output.result(run, describeRun(run));
  });
}

function addCancel(group: Command, invocation: Invocation): void {
  const command = group
    .command('cancel')
    .description('call a run off; one under way stops within seconds and publishes nothing')
    .argument('<id>', 'number of the run, as `nestrec runs list` shows it')
    .addHelpText('after', '\nExample:\n  nestrec runs cancel 17');
  defineAction(command, invocation, async ({ config, output }, [id]) => {
    const run = await directOrRemote(
      config,
      async ({ db }) => present(await cancelTrainingRun(db, idOf(id!))),
      (ask) => ask('DELETE', `/v1/training-runs/${idOf(id!)}`, trainingRunAnswerSchema),
    );
    const text = run.status === 'running' ? `Run ${run.id} is being called off.` : describeRun(run);
    output.result(run, text);
  });
}

function idOf(text: string): bigint {
  if (/^[1-9]\d{0,17}$/.test(text)) return BigInt(text);
  throw new InvalidParameter({
    detail: `id: got ${text.slice(0, 64)}, wanted the number of a run.`,
  });
}

function present(run: Parameters<typeof presentTrainingRun>[0] | null): TrainingRunAnswer {
  if (run === null) throw new TrainingRunNotFound({ detail: 'See nestrec runs list.' });
  return presentTrainingRun(run);
}

/** A run in a few words. */
export function describeRun(run: TrainingRunAnswer): string {
  const { id, status, version, progress, holder, reason } = run;
  const of = version === null ? '' : ` ${version}`;
  const why = reason === null ? '' : `: ${reason}`;
  if (status === 'succeeded' && run.published) return `Run ${id}:${of} answers now.`;
  if (status === 'succeeded') return `Run ${id}:${of} is trained${why}.`;
  if (status !== 'running') {
    const again = run.retried_as === null ? '' : `; tried again as run ${run.retried_as}`;
    return `Run ${id}${of === '' ? '' : ` (${version})`} ${status}${why}${again}`;
  }
  const share = progress?.share == null ? '' : ` ${Math.round(100 * progress.share)} %`;
  const who = holder === null ? '' : `, process ${holder.pid} on ${holder.host}`;
  return `Run ${id} (${version ?? 'no version yet'}) runs: ${progress?.stage ?? 'starting'}${share}${who}.`;
}
