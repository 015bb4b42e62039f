/** What docker-compose.yml sets, on real servers: a broker with its properties, api and ingest with their environments. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { apiConfig, runApi, type RunningApi } from '@nestrec/api';
import { runCli } from '@nestrec/cli';
import { openPostgres, type Database } from '@nestrec/database';
import { ingestConfig, runIngest, type RunningIngest } from '@nestrec/ingest';
import { loadConfig, silentLogger } from '@nestrec/runtime';
import { createApiKey } from '@nestrec/storage';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call } from '../helpers/api/harness.js';
import { kafkaMissing } from '../helpers/brokers.js';
import { environmentOf, readCompose } from '../helpers/compose-file.js';
import { createTestPostgres, postgresMissing } from '../helpers/databases.js';
import { startKafka, type KafkaServer } from '../helpers/kafka-server.js';
import type { CreatedDatabase } from '../helpers/postgres-template.js';
import { waitFor } from '../helpers/wait-for.js';

const { services } = readCompose({ POSTGRES_PASSWORD: 'unused' });
/** The test's own: addresses, folders, and what is not a property of the broker. */
const OWN =
  /^KAFKA_(LISTENERS|ADVERTISED_LISTENERS|LISTENER_SECURITY_PROTOCOL_MAP|INTER_BROKER_LISTENER_NAME|CONTROLLER_QUORUM_VOTERS|LOG_DIRS|HEAP_OPTS)$/;
const PROBE = fileURLToPath(new URL('../../deploy/probe.mjs', import.meta.url));
const missing = postgresMissing() ?? kafkaMissing();

/** As the image makes them of its environment. */
const brokerProperties = Object.fromEntries(
  Object.entries(environmentOf(services.kafka))
    .filter(([name]) => name.startsWith('KAFKA_') && !OWN.test(name))
    .map(([name, value]) => [
      name.slice('KAFKA_'.length).toLowerCase().replaceAll('_', '.'),
      value,
    ]),
);

/** The health check of a service, asked of the process that runs at `url`. */
async function probe(
  service: 'api' | 'ingest',
  url: string,
): Promise<{ ok: boolean; said: string }> {
  const { pathname } = new URL(services[service].healthcheck!.test.at(-1)!);
  const asked = promisify(execFile)(process.execPath, [PROBE, new URL(pathname, url).href]);
  return asked.then(
    () => ({ ok: true, said: '' }),
    (error: { stderr: string }) => ({ ok: false, said: error.stderr }),
  );
}

describe.skipIf(missing !== null)(
  `docker-compose.yml (${missing ?? 'PostgreSQL and Kafka'})`,
  () => {
    let created: CreatedDatabase;
    let db: Database;
    let kafka: KafkaServer;
    let api: RunningApi;
    let ingest: RunningIngest;

    beforeAll(async () => {
      [created, kafka] = await Promise.all([
        createTestPostgres(),
        startKafka({ properties: brokerProperties }),
      ]);
      db = await openPostgres({ url: created.url, max: 2, allowUnsafeDurability: true });
      const addresses = {
        DATABASE_URL: created.url,
        KAFKA_BROKERS: kafka.brokers,
        // The servers of tests do without fsync.
        NESTREC_ALLOW_UNSAFE_DURABILITY: 'true',
      };
      const apiEnvironment = { ...environmentOf(services.api), ...addresses };
      api = await runApi(
        { ...loadConfig(apiConfig, apiEnvironment), host: '127.0.0.1', port: 0 },
        silentLogger(),
      );
      const ingestEnvironment = { ...environmentOf(services.ingest), ...addresses };
      ingest = await runIngest(
        { ...loadConfig(ingestConfig, ingestEnvironment), host: '127.0.0.1', operationsPort: 0 },
        silentLogger(),
      );
    });
    afterAll(async () => {
      await ingest?.stop();
      await api?.stop();
      await db?.close();
      await created?.drop();
      await kafka?.stop();
    });

    it('an event that the API accepts reaches the database through the broker', async () => {
      const { key } = await createApiKey(db, {
        client: 'shop',
        tier: 'full',
        scopes: ['events:write'],
      });
      const body = { events: [{ event_id: 'e1', user_id: 'u', item_id: 'i' }] };
      expect((await call(api.url, key, 'POST', '/v1/events', { body })).status).toBe(202);
      await waitFor('the event in the database', async () => {
        const { rows } = await db.query("SELECT 1 FROM interactions WHERE event_id = 'e1'");
        return rows.length === 1;
      });
    });

    it('the health check of ingest passes once it applies events', async () => {
      await waitFor('readiness of ingest', async () => (await probe('ingest', ingest.url)).ok);
    });

    it('the health check of the API fails with the reason while no model is published', async () => {
      const { ok, said } = await probe('api', api.url);
      expect(ok).toBe(false);
      expect(said).toContain('/readyz: 503');
      expect(said).toContain('model');
    });

    it('the health check of a process that is down fails with the reason', async () => {
      const { ok, said } = await probe('api', 'http://127.0.0.1:9');
      expect(ok).toBe(false);
      expect(said).not.toBe('');
    });

    it('a command leaves the artifact alone that a trainer is writing beside it', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'nestrec-compose-test-'));
      const writing = join(folder, 'models', '.v1.0123456789ab.tmp');
      await mkdir(writing, { recursive: true });
      const stream = { write: () => true } as unknown as NodeJS.WriteStream;
      const code = await runCli(['keys', 'list', '--json'], {
        env: {
          ...environmentOf(services.trainer),
          DATABASE_URL: created.url,
          NESTREC_ALLOW_UNSAFE_DURABILITY: 'true',
          NESTREC_DATA_DIR: folder,
        },
        streams: { stdout: stream, stderr: stream },
      });
      const stands = existsSync(writing);
      await rm(folder, { recursive: true });
      expect([code, stands]).toEqual([0, true]);
    });

    it('the broker flushes what it acknowledges, and makes no topic of itself', async () => {
      const client = new Kafka({
        brokers: [kafka.brokers],
        logLevel: logLevel.NOTHING,
        retry: { retries: 0 },
      });
      const admin = client.admin();
      await admin.connect();
      try {
        const { resources } = await admin.describeConfigs({
          includeSynonyms: false,
          resources: [{ type: 2, name: 'interactions.v1', configNames: ['flush.messages'] }],
        });
        expect(resources[0]!.configEntries[0]!.configValue).toBe('1');
        await expect(admin.fetchTopicMetadata({ topics: ['nobody-made-this'] })).rejects.toThrow();
        expect((await admin.listTopics()).sort()).toEqual(
          expect.arrayContaining(['interactions.dlq.v1', 'interactions.v1']),
        );
        expect(await admin.listTopics()).not.toContain('nobody-made-this');
      } finally {
        await admin.disconnect();
      }
    });
  },
);
