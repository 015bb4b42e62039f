/**
 * What the ingest benchmark stands on: a database with a published model of random weights, a topic full of
 * events, and our own processes as they are built, on this machine.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { migrate, openPostgres, type Database } from '@nestrec/database';
import { openKafkaLog } from '@nestrec/event-log';
import { createRandom } from '@nestrec/random';
import { createApiKey, ensureDefaultTiers } from '@nestrec/storage';
import { kafkaTestConfig } from '../../helpers/kafka-log.js';
import { createDatabase } from '../../helpers/postgres-template.js';
import { itemIdOf } from '../../helpers/published-artifact.js';
import { publishModel } from '../../helpers/published-model.js';
import { waitFor } from '../../helpers/wait-for.js';

const VERSION = 'bench';

export interface Scene {
  readonly url: string;
  readonly db: Database;
  readonly apiKey: string;
  close(): Promise<void>;
}

/** A migrated database; with `sizes`, a model of these published in it. */
export async function makeScene(
  serverUrl: string,
  model: { readonly sizes: number[]; readonly items: number } | null,
): Promise<Scene> {
  const created = await createDatabase(serverUrl);
  const db = await openPostgres({ url: created.url, max: 4, statementTimeoutMs: 120_000 });
  const folder = await mkdtemp(join(tmpdir(), 'nestrec-bench-'));
  await migrate(db);
  await ensureDefaultTiers(db);
  if (model !== null) await publishModel(db, folder, { version: VERSION, ...model }, [64]);
  const scopes = ['events:write', 'recommend'] as const;
  const { key } = await createApiKey(db, { client: 'bench', tier: 'full', scopes });
  return {
    ...{ url: created.url, db, apiKey: key },
    close: async () => {
      await db.close();
      await created.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Fills a new topic of four partitions with `count` events of Zipf-like users and items. */
export async function fillTopic(
  brokers: string,
  {
    count,
    users,
    items,
  }: { readonly count: number; readonly users: number; readonly items: number },
): Promise<{ readonly topic: string; readonly deadLetterTopic: string }> {
  const config = kafkaTestConfig(brokers);
  const log = openKafkaLog({ config, appendTimeoutMs: 60_000 });
  const random = createRandom(7);
  // A power of a uniform number: the first tenth gets about half, as popular items do.
  const skewed = (n: number) => Math.floor(n * random.uniform() ** 3);
  const startMs = Date.now() - 86_400_000;
  for (let at = 0; at < count; at += 1_000) {
    const records = Array.from({ length: Math.min(1_000, count - at) }, (_, i) => {
      const user = `user-${skewed(users)}`;
      const event = {
        ...{ schema_version: 1, event_id: `event-${at + i}`, user_id: user },
        ...{ item_id: itemIdOf(skewed(items)), type: 'view' },
        ...{ timestamp_ms: startMs + at + i, value: null },
      };
      return { key: user, value: Buffer.from(JSON.stringify(event)) };
    });
    await log.append(records);
  }
  await log.close();
  return { topic: config.kafkaTopic, deadLetterTopic: config.kafkaDeadLetterTopic };
}

export interface Service {
  readonly pid: number;
  /** User and system time of the process so far, seconds. */
  cpuSeconds(): Promise<number>;
  stop(): Promise<void>;
}

/** Starts a built service; resolves when it says `line`. */
export async function startService(
  name: 'api' | 'ingest',
  env: Readonly<Record<string, string>>,
  line: string,
): Promise<Service> {
  const program = fileURLToPath(new URL(`../../../services/${name}/dist/main.js`, import.meta.url));
  const child = spawn(process.execPath, [program], {
    env: { PATH: process.env['PATH'], NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await waitFor(`${name} to start`, () => running(child, output) && output.includes(line), 60_000);
  return {
    pid: child.pid!,
    cpuSeconds: async () => {
      const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return (Number(fields[11]) + Number(fields[12])) / 100;
    },
    stop: async () => {
      child.kill('SIGTERM');
      await waitFor(`${name} to stop`, () => child.exitCode !== null || child.signalCode, 20_000);
    },
  };
}

function running(child: ChildProcess, output: string): boolean {
  if (child.exitCode !== null) throw new Error(`the process ended: ${output.slice(-2_000)}`);
  return true;
}
