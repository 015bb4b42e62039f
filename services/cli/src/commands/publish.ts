/** `nestrec publish VERSION` and `nestrec rollback`: which model version answers. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { InvalidArgumentError, Option, type Command } from 'commander';
import {
  modelDetailAnswerSchema,
  modelsAnswerSchema,
  publishAnswerSchema,
  publishRunAnswerSchema,
  type PublishRunAnswer,
} from '@nestrec/contracts';
import {
  InvalidArtifact,
  isError,
  NoPublishedModel,
  PublishConflict,
  PublishRefused,
} from '@nestrec/errors';
import {
  publishVersion,
  rollback,
  SHORTLIST_FORMS,
  shortlistIndexOf,
  type PublishResult,
  type ShortlistForm,
} from '@nestrec/publishing';
import { loadArtifact } from '@nestrec/registry';
import { ensureDefaultTiers, listTiers, newestPublishReport } from '@nestrec/storage';
import { measureCandidate } from '@nestrec/trainer';
import { chooseBackend } from '../backend.js';
import { defineAction, type Invocation } from '../command-context.js';
import { parseKeep } from '../keep-option.js';
import { renderReport } from '../gate-table.js';
import { operatorName } from '../operator-name.js';
import { renderTable, type Output } from '../output.js';
import type { Platform } from '../platform.js';
import { directOrRemote, refuseRemotely, type AdminRequest } from '../running-server.js';

interface PublishOptions {
  force?: boolean;
  minRecall?: number;
  keep?: number;
  shortlistIndex?: ShortlistForm;
  json?: boolean;
}

export function addPublish(program: Command, invocation: Invocation): void {
  const command = program
    .command('publish')
    .description('embed all items, build and check the indexes, then let the version answer')
    .argument('<version>', 'a trained version, as `nestrec model list` shows it')
    .option(
      '--min-recall <share>',
      'least recall@20 of an index against the exact scan',
      parseShare,
    )
    .option(
      '--force',
      'also where the version is older than the published one or the quality gate refuses it; this is recorded',
    )
    .option(
      '--keep <count>',
      'versions besides the published one whose item vectors stay; default: NESTREC_KEEP_VERSIONS',
      parseKeep,
    )
    .addOption(
      new Option(
        '--shortlist-index <form>',
        'what the indexes hold that shortlists are made by; default: NESTREC_SHORTLIST_INDEX',
      ).choices(SHORTLIST_FORMS),
    )
    .addHelpText('after', '\nExample:\n  nestrec publish v20261123_142305');
  defineAction<PublishOptions>(
    command,
    invocation,
    async ({ config, output }, [version], options) => {
      await directOrRemote(
        config,
        async (platform) => {
          const result = await publishAndReport(output, platform, version!, options);
          output.result(result, renderPublished(result));
        },
        async (ask) => {
          refuseRemotely({
            '--min-recall': options.minRecall,
            '--keep': options.keep,
            '--shortlist-index': options.shortlistIndex,
          });
          await publishRemotely(output, ask, version!, options.force ?? false);
          const { published, previous } = await ask('GET', '/v1/models', modelsAnswerSchema);
          output.result(
            { published, previous },
            `${published} answers now (before: ${previous ?? 'nothing'}).`,
          );
        },
      );
    },
  );
}

const ASK_AGAIN_MS = 500;

/** Lets the running server publish, and waits for the end. */
async function publishRemotely(
  output: Output,
  ask: AdminRequest,
  version: string,
  force: boolean,
): Promise<void> {
  const path = `/v1/models/${encodeURIComponent(version)}`;
  const bar = output.progress('Publishing', 1);
  let run: PublishRunAnswer | null = await ask(
    'POST',
    `${path}/publish${force ? '?force=true' : ''}`,
    publishRunAnswerSchema,
  );
  while (run?.state === 'running') {
    bar.update(run.share, run.phase);
    await sleep(ASK_AGAIN_MS);
    run = (await ask('GET', path, modelDetailAnswerSchema)).publish_run;
  }
  bar.stop();
  if (run?.state === 'published') return;
  const detail = run?.detail ?? 'the log of the server says why.';
  const raised = [InvalidArtifact, PublishConflict].find(({ code }) => code === run?.code);
  throw new (raised ?? PublishRefused)({ detail });
}

/** Publishes a version of the models folder, with a bar; says what the quality gate found where it refuses. */
export async function publishAndReport(
  output: Output,
  platform: Platform,
  version: string,
  options: Omit<PublishOptions, 'json'> = {},
): Promise<PublishResult> {
  const { db, config, folders } = platform;
  const path = join(folders.models, version);
  const earlier = await newestPublishReport(db, version);
  const artifact = await loadArtifact(path);
  await ensureDefaultTiers(db);
  const bar = output.progress('Publishing', 100);
  // Embedding takes about half of the time, the indexes most of the rest.
  const share = { embed: [0, 50], index: [50, 48], swap: [98, 2] } as const;
  try {
    return await publishVersion({
      db,
      artifact,
      path,
      tiers: await listTiers(db),
      keepPrevious: options.keep ?? config.keepVersions,
      shortlistIndex: shortlistIndexOf(options.shortlistIndex ?? config.shortlistForm),
      logger: platform.logger,
      force: options.force ?? false,
      forcedBy: operatorName(),
      measure: async (candidate, against) => {
        await chooseBackend({ config, output });
        output.note(`Comparing ${version} with ${against ?? 'popularity'}`);
        const spill = { folder: folders.checkpoints, eventsInMemory: config.eventsInMemory };
        return measureCandidate(db, candidate, against, spill);
      },
      ...(options.minRecall === undefined ? {} : { minRecall: options.minRecall }),
      onProgress: ({ phase, done, total }) => {
        const [from, width] = share[phase];
        bar.update(from + (width * done) / Math.max(1, total), `${phase} ${done} of ${total}`);
      },
    });
  } catch (error) {
    const report = isError(error, PublishRefused) ? await newestPublishReport(db, version) : null;
    // Where it was refused before the gate, the newest report is of another attempt, with another reason.
    if (report?.outcome === 'refused' && report.at !== earlier?.at)
      output.note(renderReport(report));
    throw error;
  } finally {
    bar.stop();
  }
}

function renderPublished(result: PublishResult): string {
  return [
    // Of a version that answered already the indexes are what is new: it is not judged again.
    result.report === null || result.outcome === 'already_published'
      ? renderIndexes(result)
      : renderReport(result.report),
    ...result.warnings.map((warning) => `Warning: ${warning}.`),
    `${result.version} answers now: ${result.items} items, ${result.newItems} of them new to the model ` +
      `(before: ${result.previousVersion ?? 'nothing'}).`,
  ].join('\n');
}

function renderIndexes({ dims }: PublishResult): string {
  const rows = dims.map(({ dim, recall, bytes, measured }) => [
    String(dim),
    measured.plan,
    recall.toFixed(4),
    `${measured.p50Ms.toFixed(1)} / ${measured.p95Ms.toFixed(1)} ms`,
    `${(bytes / 1e6).toFixed(1)} MB`,
  ]);
  return renderTable(['size', 'plan', 'recall@20', 'p50 / p95', 'index'], rows);
}

export function addRollback(program: Command, invocation: Invocation): void {
  const command = program
    .command('rollback')
    .description('let the version before the published one answer again, or another that is kept')
    .option('--to <version>', 'an earlier version whose vectors are kept')
    .addHelpText(
      'after',
      '\nExample:\n  nestrec rollback\n  nestrec rollback --to v20261123_142305',
    );
  defineAction<{ to?: string; json?: boolean }>(
    command,
    invocation,
    async ({ config, output }, _args, options) => {
      const answer = await directOrRemote(
        config,
        async ({ db, logger }) => {
          const { version, rolledBack, caughtUp } = await rollback(db, {
            logger,
            ...(options.to !== undefined && { to: options.to }),
          });
          const changes = await caughtUp;
          if (changes === null)
            output.note('Items that it lacks could not be embedded: see the log.');
          else if (changes.embedded > 0) output.note(`Embedded ${changes.embedded} items in it.`);
          return { published: version, previous: rolledBack };
        },
        async (ask) => {
          refuseRemotely({ '--to': options.to });
          const { published } = await ask('GET', '/v1/models', modelsAnswerSchema);
          if (published === null) throw new NoPublishedModel({ detail: 'Nothing to roll back.' });
          const path = `/v1/models/${encodeURIComponent(published)}/rollback`;
          return ask('POST', path, publishAnswerSchema);
        },
      );
      output.result(answer, `${answer.published} answers now (before: ${answer.previous}).`);
    },
  );
}

function parseShare(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('wanted a share from 0 to 1.');
}
