/** docker-compose.yml, the image and .dockerignore say what the code says. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { apiConfig, routes } from '@nestrec/api';
import { cliSettings } from '@nestrec/cli';
import { ingestConfig } from '@nestrec/ingest';
import { loadConfig, SHUTDOWN_LIMIT_MS, type ConfigSpec } from '@nestrec/runtime';
import { trainerConfig } from '@nestrec/trainer';
import { describe, expect, it } from 'vitest';
import {
  composeVariables,
  environmentOf,
  readCompose,
  type ComposeService,
} from '../helpers/compose-file.js';
import { KAFKA_VERSIONS } from '../helpers/kafka-binaries.js';
import { POSTGRES_IMAGE } from '../helpers/postgres-source.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const PASSWORD = 'a-test-password';
const { services, volumes } = readCompose({ POSTGRES_PASSWORD: PASSWORD });
const dockerfile = read('deploy/Dockerfile');

const ours: [string, ComposeService, ConfigSpec][] = [
  ['api', services.api, apiConfig],
  ['ingest', services.ingest, ingestConfig],
  ['trainer', services.trainer, trainerConfig],
  ['trainer, for commands,', services.trainer, cliSettings],
];
const all = Object.entries(services);

const milliseconds = (text: string) =>
  Number(/^(\d+)(s|m)$/.exec(text)![1]) * (text.endsWith('m') ? 60_000 : 1_000);

describe.each(ours)('%s of docker-compose.yml', (_name, service, spec) => {
  it('sets variables that its process reads, to values that it takes', () => {
    const known = new Set(Object.values(spec).map((setting) => setting.env));
    // Of Node; and what only one of service and commands reads, who share the container.
    const ofNode = ['TMPDIR', 'KAFKA_BROKERS', 'KAFKA_PARTITIONS', 'NESTREC_TRAINER_PORT'];
    const unknown = Object.keys(service.environment).filter((name) => !known.has(name));
    expect(unknown.filter((name) => !ofNode.includes(name))).toEqual([]);
    expect(() => loadConfig(spec, environmentOf(service))).not.toThrow();
  });

  it('runs a file that the build makes', () => {
    const [program, file] = service.entrypoint ?? service.command ?? [];
    expect(program).toBe('node');
    const source = file!.replace('/dist/', '/src/').replace(/(?<=\/src\/.*)\.js$/, '.ts');
    expect(existsSync(join(root, source))).toBe(true);
  });

  it('reaches the database and the broker by the names, ports and password that these have', () => {
    const config = environmentOf(service);
    const { username, password, hostname, port, pathname } = new URL(config['DATABASE_URL']!);
    const { POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB } = services.postgres.environment;
    expect([username, password, pathname]).toEqual([
      POSTGRES_USER,
      POSTGRES_PASSWORD,
      `/${POSTGRES_DB}`,
    ]);
    expect(`${hostname}:${port}`).toBe('postgres:5432');
    const advertised = String(services.kafka.environment['KAFKA_ADVERTISED_LISTENERS']);
    expect(advertised.split(',')).toContain(`INTERNAL://${config['KAFKA_BROKERS']}`);
  });

  it('sees the artifacts at the path under which the trainer stores them', () => {
    const data = environmentOf(services.trainer)['NESTREC_DATA_DIR'];
    const mounts = service.volumes.filter((volume) => volume.startsWith('models:'));
    const mode = service === services.trainer ? '' : ':ro';
    expect(mounts).toEqual([`models:${data}/models${mode}`]);
    expect(dockerfile).toContain(`NESTREC_DATA_DIR=${data}\n`);
    expect(dockerfile).toMatch(new RegExp(`install .*--owner=node.* ${data}/models `));
  });

  it('cannot write its code, and gets the time that a shutdown may take', () => {
    expect(service.read_only).toBe(true);
    const longestMs = SHUTDOWN_LIMIT_MS + 5_000;
    expect(milliseconds(service.stop_grace_period)).toBeGreaterThan(longestMs);
  });
});

describe('docker-compose.yml', () => {
  it('runs the servers that the tests run', () => {
    expect(services.postgres.image).toBe(POSTGRES_IMAGE);
    expect(services.kafka.image).toBe(`apache/kafka:${KAFKA_VERSIONS[0]}`);
  });

  it('refuses to start without a password, and holds no secret itself', () => {
    expect(() => readCompose({})).toThrow('POSTGRES_PASSWORD');
    const withDefault = [...composeVariables()].filter(([, { default: text }]) => text !== null);
    const names = withDefault.map(([name]) => name);
    expect(names.filter((name) => /PASSWORD|SECRET|HASH_KEY/.test(name))).toEqual([]);
  });

  it.each(all)('%s is probed, started again after a fault, and its logs rotate', (_, service) => {
    expect(service.healthcheck?.test.length).toBeGreaterThan(1);
    expect(service.restart).toBe('unless-stopped');
    expect(Object.keys(service.logging.options).sort()).toEqual(['max-file', 'max-size']);
  });

  it.each(all)(
    '%s has no rights that it does not need, and a limit of memory and processes',
    (_, service) => {
      expect(service.cap_drop).toEqual(['ALL']);
      expect(service.security_opt).toEqual(['no-new-privileges:true']);
      expect(service.mem_limit).toMatch(/^\d+[mg]$/);
      expect(service.pids_limit).toBeGreaterThan(0);
    },
  );

  it.each(all)('%s is published on this machine only', (_, service) => {
    for (const port of service.ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });

  it('lets nobody but the operator open the API to a network, and the stores to none', () => {
    const opened = readCompose({ POSTGRES_PASSWORD: PASSWORD, API_ADDRESS: '0.0.0.0' }).services;
    expect(opened.api.ports).toEqual(['0.0.0.0:8080:8080']);
    const rest = [...opened.postgres.ports, ...opened.kafka.ports, ...opened.ingest.ports];
    for (const port of rest) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  it('asks for readiness on the port and path that the API serves', () => {
    const { PORT, HOST } = environmentOf(services.api);
    const url = new URL(services.api.healthcheck!.test.at(-1)!);
    const open = routes.filter((route) => route.method === 'get' && route.access.kind === 'public');
    expect(open.map((route) => route.path)).toContain(url.pathname);
    expect([url.port, HOST]).toEqual([PORT, '0.0.0.0']);
    expect(services.api.ports[0]).toMatch(new RegExp(`:${PORT}$`));
    expect(existsSync(join(root, services.api.healthcheck!.test[2]!))).toBe(true);
  });

  it('asks ingest on the port that it is given, which no more than the containers reach', () => {
    const { NESTREC_INGEST_PORT, HOST } = environmentOf(services.ingest);
    const { port, pathname } = new URL(services.ingest.healthcheck!.test.at(-1)!);
    expect([port, pathname, HOST]).toEqual([NESTREC_INGEST_PORT, '/readyz', '0.0.0.0']);
    expect(services.ingest.expose).toEqual([NESTREC_INGEST_PORT]);
    expect(services.ingest.ports).toEqual([]);
  });

  it('asks the trainer on the port that it is given, which no more than the containers reach', () => {
    const { NESTREC_TRAINER_PORT, HOST } = environmentOf(services.trainer);
    const { port, pathname } = new URL(services.trainer.healthcheck!.test.at(-1)!);
    expect([port, pathname, HOST]).toEqual([NESTREC_TRAINER_PORT, '/readyz', '0.0.0.0']);
    expect(services.trainer.expose).toEqual([NESTREC_TRAINER_PORT]);
    expect(services.trainer.ports).toEqual([]);
  });

  it('tells programs on this machine the port under which the broker is published', () => {
    const env = { POSTGRES_PASSWORD: PASSWORD, KAFKA_PORT: '19999' };
    const { kafka } = readCompose(env).services;
    expect(kafka.ports).toEqual(['127.0.0.1:19999:9092']);
    const advertised = String(kafka.environment['KAFKA_ADVERTISED_LISTENERS']);
    expect(advertised.split(',')).toContain('HOST://127.0.0.1:19999');
  });

  it('declares every volume that it mounts, and mounts every volume that it declares', () => {
    const mounted = all.flatMap(([, service]) => service.volumes.map((v) => v.split(':')[0]!));
    expect([...new Set(mounted)].sort()).toEqual(Object.keys(volumes).sort());
  });

  it('docs/operations.md explains every variable of .env that it reads, with its default', () => {
    const operations = read('docs/operations.md');
    const rows = [...composeVariables()].map(([name, { default: text }]) =>
      text === null ? `| \`${name}\` |` : `| \`${name}\` | \`${text}\` |`,
    );
    expect(rows.filter((row) => !operations.includes(row))).toEqual([]);
  });

  it('takes variables that the command line does not refuse in the same .env', () => {
    const known = new Set(Object.values(cliSettings).map((setting) => setting.env));
    const foreign = [...composeVariables().keys()].filter((name) => !known.has(name));
    const env = Object.fromEntries(foreign.map((name) => [name, '1']));
    expect(() => loadConfig(cliSettings, env)).not.toThrow();
  });
});

describe('the image', () => {
  const stages = dockerfile.split(/^FROM /m);
  const runtime = stages.at(-1)!;

  it('has a Node that the packages want, for the build and at run time alike', () => {
    const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
    const major = Number(/^ARG NODE_IMAGE=node:(\d+)-/m.exec(dockerfile)![1]);
    expect(major).toBeGreaterThanOrEqual(Number(/>=(\d+)/.exec(engines.node)![1]));
    expect(stages.slice(1).every((stage) => stage.startsWith('${NODE_IMAGE}'))).toBe(true);
  });

  it('does not run as root, and starts the API', () => {
    expect(/^USER (\S+)/m.exec(runtime)![1]).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    const command = JSON.parse(/^CMD (.+)$/m.exec(runtime)![1]!) as string[];
    expect(command).toEqual(services.api.command);
    expect(runtime).toContain(`EXPOSE ${environmentOf(services.api)['PORT']}\n`);
  });

  it('is built from listed files only, with no secret, no data and no build among them', () => {
    const lines = read('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(lines[0]).toBe('*');
    const listed = lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    expect(listed.filter((name) => !existsSync(join(root, name)))).toEqual([]);
    expect(listed.some((name) => name.startsWith('.env') || name.startsWith('.git'))).toBe(false);
    expect(lines.slice(1 + listed.length)).toEqual(
      expect.arrayContaining(['**/.env*', '**/node_modules', '**/dist']),
    );
  });
});
