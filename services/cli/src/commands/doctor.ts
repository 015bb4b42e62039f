/** `nestrec doctor`: whether this machine and these settings can run nestrec, without starting anything. */
import { statfs } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { dirname } from 'node:path';
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { Database } from '@nestrec/database';
import { DataFolderInUse, EventLogUnsuitable, isError, NestrecError } from '@nestrec/errors';
import { openEventLog } from '@nestrec/event-log';
import { silentLogger } from '@nestrec/runtime';
import { getNextOffsets, getPinnedPartitions, getPublished } from '@nestrec/storage';
import { selectBackend, surveyBackends } from '@nestrec/tensor';
import { backendOptions, backendTable } from '../backend.js';
import { describeTraining } from '@nestrec/training';
import { defineAction, type CommandContext, type Invocation } from '../command-context.js';
import { renderTable } from '../output.js';
import { dataFolders, withPlatform } from '../platform.js';
import { findServer } from '../running-server.js';

const LEAST_FREE_BYTES = 1e9;
const LEAST_MEMORY_BYTES = 2e9;
const MOST_CLOCK_SKEW_MS = 30_000;

interface Finding {
  readonly check: string;
  readonly state: 'ok' | 'warning' | 'failed';
  readonly detail: string;
}

export function addDoctor(program: Command, invocation: Invocation): void {
  const command = program
    .command('doctor')
    .description('check this machine and the settings; exit code 1 where something would fail')
    .addHelpText('after', '\nExample:\n  nestrec doctor --json');
  defineAction(command, invocation, async (context) => {
    context.output.note('measuring the backends ...');
    const backends = await surveyBackends(dataFolders(context.config).root);
    const { chosen, found } = await tensorBackend(context);
    const findings = [
      finding('node', true, `Node ${process.versions.node}`),
      await diskSpace(context),
      memory(),
      ...found,
      ...(await database(context)),
    ];
    const checks = renderTable(
      ['check', 'state', 'detail'],
      findings.map((f) => [f.check, f.state, f.detail]),
    );
    context.output.result(
      { findings, backends: backends.map((one) => ({ ...one, chosen: one.name === chosen })) },
      `${checks}\n${backendTable(backends, chosen)}`,
    );
    if (findings.some((f) => f.state === 'failed')) process.exitCode = 1;
  });
}

const finding = (check: string, ok: boolean, detail: string): Finding => ({
  check,
  state: ok ? 'ok' : 'warning',
  detail,
});

const failure = (check: string, error: unknown): Finding => ({
  check,
  state: 'failed',
  detail: error instanceof NestrecError ? error.message : String(error),
});

async function diskSpace({ config }: CommandContext): Promise<Finding> {
  let folder = dataFolders(config).root;
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  return finding(
    'disk',
    free >= LEAST_FREE_BYTES,
    `${(free / 1e9).toFixed(1)} GB free in ${folder}`,
  );
}

function memory(): Finding {
  const total = totalmem();
  return finding('memory', total >= LEAST_MEMORY_BYTES, `${(total / 1e9).toFixed(1)} GB`);
}

async function tensorBackend({ config }: CommandContext) {
  try {
    const { name, faster, line } = await selectBackend(backendOptions(config));
    const found = [
      finding('tensor backend', faster === null, line),
      finding('training', true, describeTraining(config.trainWorkers)),
    ];
    return { chosen: name, found };
  } catch (error) {
    return { chosen: null, found: [failure('tensor backend', error)] };
  }
}

async function database({ config }: CommandContext): Promise<Finding[]> {
  try {
    return await withPlatform(config, async ({ db }) => {
      const beforeMs = Date.now();
      const { rows } = await db.query<{ now: Date }>('SELECT clock_timestamp() AS now');
      const skewMs = Math.abs(rows[0]!.now.getTime() - (beforeMs + Date.now()) / 2);
      const published = await getPublished(db);
      return [
        finding('database', true, db.description),
        finding(
          'clock',
          skewMs <= MOST_CLOCK_SKEW_MS,
          `${Math.round(skewMs)} ms off the database's`,
        ),
        finding(
          'published model',
          published !== null,
          published === null
            ? 'none yet: nestrec train, then nestrec publish VERSION'
            : `${published.version}, since ${new Date(published.publishedAtMs).toISOString()}`,
        ),
        await eventLog(config, db),
      ];
    });
  } catch (error) {
    const server = isError(error, DataFolderInUse) ? await findServer(config) : null;
    if (server === null) return [failure('database', error)];
    return [finding('database', true, 'in use by the server below'), await readiness(server.url)];
  }
}

/** Looks at the topics without making them, and at how far ingest is. */
async function eventLog(config: CommandContext['config'], db: Database): Promise<Finding> {
  const looking = { ...config, kafkaCreateTopics: false };
  const log = openEventLog({ config: looking, db, logger: silentLogger() });
  try {
    const ranges = await log.events.offsets();
    const { topic } = log.events;
    const pinned = await getPinnedPartitions(db, topic);
    const applied = await getNextOffsets(db, topic);
    const waiting = [...ranges].reduce((sum, [partition, { low, next }]) => {
      return sum + next - (applied.get(partition) ?? low);
    }, 0n);
    const place =
      config.kafkaBrokers === null ? 'in the database' : `Kafka, ${ranges.size} partitions`;
    if (pinned !== null && pinned !== ranges.size) {
      const detail = `${topic}: ${place}, but ${pinned} when it was first read: ingest will refuse it`;
      return { check: 'event log', state: 'failed', detail };
    }
    return finding('event log', true, `${topic}: ${place}; ${waiting} events wait to be applied`);
  } catch (error) {
    if (config.kafkaCreateTopics && isError(error, EventLogUnsuitable)) {
      return finding(
        'event log',
        false,
        'the topics are absent; the first api or ingest makes them',
      );
    }
    return failure('event log', error);
  } finally {
    await log.close();
  }
}

async function readiness(url: string): Promise<Finding> {
  try {
    const { status } = await fetch(new URL('/readyz', url), { signal: AbortSignal.timeout(5_000) });
    return finding('server', status === 200, `${url}, /readyz says ${status}`);
  } catch (error) {
    return failure('server', `${url} does not answer: ${String(error)}`);
  }
}
