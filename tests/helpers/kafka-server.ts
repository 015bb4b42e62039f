/**
 * A private Kafka broker on loopback (KRaft, one node): own ports, own folder, gone at `stop`. Tests that
 * break brokers start their own; the others share the one of the global set-up.
 *
 * Clients use `brokers`, which is plain text; a listener with TLS or SASL stands beside it on request.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import {
  kafkaPrograms,
  type KafkaPrograms,
  type KafkaVersion,
  type Say,
} from './kafka-binaries.js';
import { secureListener, type SecureClient, type SecureOptions } from './kafka-security.js';
import { recordService } from './leftovers.js';
import { runRecords } from './postgres-server.js';
import { lastingPort, run } from './processes.js';

export interface KafkaOptions {
  /** NESTREC_KAFKA_VERSION, or the newest, where it is not given. */
  readonly version?: KafkaVersion;
  /** Added to server.properties, over our own. */
  readonly properties?: Readonly<Record<string, string>>;
  /** A second plain listener whose clients are told another port: that of a proxy before it. */
  readonly proxied?: { readonly port: number; readonly advertisedPort: number };
  /** A second listener, with TLS, SASL or both. */
  readonly secure?: SecureOptions;
  /** Ports and cluster that others know already; see `kafka-cluster.ts`. */
  readonly place?: {
    readonly port: number;
    readonly controllerPort: number;
    readonly clusterId: string;
  };
  /** Options of its Java, such as BRIEF_LIFE; those of the heap are there already. */
  readonly javaOptions?: readonly string[];
  /** Told what takes time. */
  readonly say?: Say;
}

/** Java that optimises less: starts with two thirds of the work, which is most of a short-lived broker's. */
export const BRIEF_LIFE = ['-XX:TieredStopAtLevel=1'];

export interface KafkaServer {
  readonly version: KafkaVersion;
  /** For KAFKA_BROKERS; the same before and after a restart. */
  readonly brokers: string;
  /** What a client needs for the second listener; null when none was asked for. */
  readonly secure: SecureClient | null;
  /** The broker's process; null while it is down. For SIGSTOP and the like. */
  pid(): number | null;
  /** Starts it again after `halt` or `kill`; resolves once it answers. */
  start(): Promise<void>;
  /** SIGKILL; data stay. */
  kill(): Promise<void>;
  /** Stops it as an operator does (SIGTERM); data stay. */
  halt(): Promise<void>;
  /** Ends it for good and removes its data. Safe twice. */
  stop(): Promise<void>;
}

/** A JVM takes 5 s to start, and minutes where many others want the processor. */
const READY_TIMEOUT_MS = 180_000;
const HEAP = ['-Xmx512m', '-XX:+UseSerialGC'];

type Properties = Record<string, string>;

/** Of one broker that is its own controller. */
export const serverProperties = (
  port: number,
  controllerPort: number,
  data: string,
): Properties => ({
  'process.roles': 'broker,controller',
  'node.id': '1',
  'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
  listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
  'controller.listener.names': 'CONTROLLER',
  'inter.broker.listener.name': 'PLAINTEXT',
  'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
  'log.dirs': data,
  'offsets.topic.replication.factor': '1',
  // One partition instead of 50: the group coordinator is there at once.
  'offsets.topic.num.partitions': '1',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'transaction.state.log.num.partitions': '1',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  'group.initial.rebalance.delay.ms': '0',
  // A killed broker is let in again when its old session is over, which takes 9 s by default.
  'broker.session.timeout.ms': '3000',
  'broker.heartbeat.interval.ms': '500',
  'auto.create.topics.enable': 'false',
});

/** Clients of the listener PROXIED follow what it advertises: the proxy. */
function addProxied(own: Properties, proxied: NonNullable<KafkaOptions['proxied']>): Properties {
  const [plain] = own['listeners']!.split(',');
  return {
    ...own,
    listeners: `${own['listeners']},PROXIED://127.0.0.1:${proxied.port}`,
    'advertised.listeners': `${plain},PROXIED://127.0.0.1:${proxied.advertisedPort}`,
    'listener.security.protocol.map': `${own['listener.security.protocol.map']},PROXIED:PLAINTEXT`,
  };
}

const toText = (properties: Properties) =>
  Object.entries(properties)
    .map(([key, value]) => `${key}=${value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n`)
    .join('');

/** As StorageTool's random-uuid makes them; a leading dash would be taken for an option. */
export function clusterId(): string {
  for (;;) {
    const id = randomBytes(16).toString('base64url');
    if (!id.startsWith('-')) return id;
  }
}

const tail = async (path: string) =>
  (await readFile(path, 'utf8').catch(() => '')).trim().slice(-800);

/** Whether the broker answers, and names itself and a controller. */
export async function answersMetadata(brokers: string): Promise<boolean> {
  const admin = new Kafka({
    brokers: [brokers],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 2_000,
    requestTimeout: 5_000,
    retry: { retries: 0 },
  }).admin();
  try {
    await admin.connect();
    const cluster = await admin.describeCluster();
    return cluster.brokers.length > 0 && cluster.controller !== null;
  } catch {
    return false;
  } finally {
    await admin.disconnect().catch(() => undefined);
  }
}

interface Layout {
  readonly folder: string;
  readonly config: string;
  readonly log: string;
  readonly brokers: string;
}

/** The broker's process, alive; what it says goes to the log file. */
async function launch(
  programs: KafkaPrograms,
  layout: Layout,
  javaOptions: readonly string[],
): Promise<ChildProcess> {
  const log = await open(layout.log, 'a');
  try {
    const args = [...HEAP, ...javaOptions, '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'];
    args.push('-cp', programs.classPath, 'kafka.Kafka', layout.config);
    const child = spawn(programs.java, args, {
      cwd: layout.folder,
      stdio: ['ignore', log.fd, log.fd],
      // Ctrl-C is for its owner, who ends it.
      detached: true,
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.unref();
    return child;
  } finally {
    await log.close();
  }
}

const isAlive = (child: ChildProcess) => child.exitCode === null && child.signalCode === null;

/** Sends the signal and resolves when the process is gone. */
async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (!isAlive(child)) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.ref();
  child.kill(signal);
  await gone;
}

/** Resolves once the broker answers; rejects, with its last words, when it ends or is silent for too long. */
async function ready(child: ChildProcess, layout: Layout): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (!(await answersMetadata(layout.brokers))) {
    if (!isAlive(child)) throw new Error(`Kafka ended at its start: ${await tail(layout.log)}`);
    if (Date.now() > deadline) {
      await end(child, 'SIGKILL');
      const said = await tail(layout.log);
      throw new Error(`Kafka did not answer within ${READY_TIMEOUT_MS} ms: ${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Starts a broker; resolves once it answers. */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaServer> {
  const programs = await kafkaPrograms(options.version, options.say);
  const folder = await mkdtemp(join(tmpdir(), 'nestrec-kafka-'));
  const name = `kafka-${randomBytes(6).toString('hex')}`;
  const record = (pid: number | null) =>
    recordService(runRecords, name, { pid, container: null, folder, endSignal: 'SIGKILL' });
  // Written down before there is anything to leave behind, and again once there is a process.
  const strikeOut = await record(null);
  const port = options.place?.port ?? (await lastingPort());
  const layout = {
    folder,
    config: join(folder, 'server.properties'),
    log: join(folder, 'log'),
    brokers: `127.0.0.1:${port}`,
  };
  let child: ChildProcess | null = null;

  const start = async () => {
    if (child !== null && isAlive(child)) throw new Error(`Kafka on ${layout.brokers} is running`);
    const started = await launch(programs, layout, options.javaOptions ?? []);
    child = started;
    await record(started.pid!);
    await ready(started, layout);
  };
  const endWith = (signal: NodeJS.Signals) => async () => {
    if (child !== null) await end(child, signal);
  };
  let stopping: Promise<void> | null = null;
  const stop = async () => {
    await endWith('SIGKILL')();
    await rm(folder, { recursive: true, force: true, maxRetries: 20 });
    await strikeOut();
  };

  try {
    const secure = options.secure ? await secureListener(options.secure, folder) : null;
    const controllerPort = options.place?.controllerPort ?? (await lastingPort());
    const own = serverProperties(port, controllerPort, join(folder, 'data'));
    const plain = options.proxied ? addProxied(own, options.proxied) : own;
    const properties = secure === null ? plain : secure.addTo(plain);
    await writeFile(layout.config, toText({ ...properties, ...options.properties }));
    const format = ['-cp', programs.classPath, 'kafka.tools.StorageTool', 'format'];
    format.push(
      '-t',
      options.place?.clusterId ?? clusterId(),
      '-c',
      layout.config,
      ...(secure?.formatArguments ?? []),
    );
    await run(programs.java, [...BRIEF_LIFE, ...format], { cwd: folder });
    await start();
    return {
      version: programs.version,
      brokers: layout.brokers,
      secure: secure?.client ?? null,
      pid: () => (child !== null && isAlive(child) ? child.pid! : null),
      start,
      kill: endWith('SIGKILL'),
      halt: endWith('SIGTERM'),
      stop: () => (stopping ??= stop()),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
