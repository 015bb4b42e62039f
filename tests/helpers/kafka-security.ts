/**
 * A second listener for a test broker, with TLS, SASL or both: its server.properties, its self-made
 * certificate, and what a client needs to get in. For tests only: the key is readable in a temporary folder.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lastingPort, run, runs } from './processes.js';

export interface SecureOptions {
  readonly protocol: 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL';
  /** Of SASL; plain where it is not given. */
  readonly mechanism?: SaslMechanism;
}

export type SaslMechanism = 'plain' | 'scram-sha-256' | 'scram-sha-512';

export interface SecureClient {
  readonly brokers: string;
  /** PEM of the certificate to trust; null without TLS. */
  readonly ca: string | null;
  /** The same as a file; gone with the server. */
  readonly caPath: string | null;
  /** Credentials that are let in; null without SASL. Give kafkajs a copy: it remembers things in it. */
  readonly sasl: {
    readonly mechanism: SaslMechanism;
    readonly username: string;
    readonly password: string;
  } | null;
}

export interface SecureListener {
  readonly client: SecureClient;
  addTo(properties: Record<string, string>): Record<string, string>;
  /** For StorageTool's `format`: users of SCRAM live in the metadata log. */
  readonly formatArguments: readonly string[];
}

const USER = { username: 'tester', password: 'a-password-of-tests' };
const LISTENER = 'SECURE';
const PREFIX = 'listener.name.secure';

/** Writes the key store (PEM: key, then certificate) and the certificate alone; both paths. */
async function makeCertificate(folder: string): Promise<{ keystore: string; ca: string }> {
  if (!(await runs('openssl', ['version']))) {
    throw new Error('openssl is not installed, which makes the certificate of a TLS listener');
  }
  const [key, ca, keystore] = ['key.pem', 'ca.pem', 'keystore.pem'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
    ...['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost', '-keyout', key, '-out', ca],
  ]);
  const parts = await Promise.all([key, ca].map((path) => readFile(path, 'utf8')));
  await writeFile(keystore, parts.join(''), { mode: 0o600 });
  await rm(key);
  return { keystore, ca };
}

/** The login module of the mechanism, as the broker's end of it. */
function saslProperties(mechanism: SaslMechanism): Record<string, string> {
  const module =
    mechanism === 'plain'
      ? `org.apache.kafka.common.security.plain.PlainLoginModule required user_${USER.username}="${USER.password}";`
      : 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
  return {
    [`${PREFIX}.sasl.enabled.mechanisms`]: mechanism.toUpperCase(),
    [`${PREFIX}.${mechanism}.sasl.jaas.config`]: module,
  };
}

function scramArguments(mechanism: SaslMechanism | null): string[] {
  if (mechanism === null || mechanism === 'plain') return [];
  const user = `name=${USER.username},password=${USER.password}`;
  return ['--add-scram', `${mechanism.toUpperCase()}=[${user}]`];
}

/** Prepares the listener in the broker's folder. */
export async function secureListener(
  options: SecureOptions,
  folder: string,
): Promise<SecureListener> {
  const { protocol } = options;
  const tls = protocol.endsWith('SSL') ? await makeCertificate(folder) : null;
  const mechanism = protocol.startsWith('SASL') ? (options.mechanism ?? 'plain') : null;
  const port = await lastingPort();
  const added: Record<string, string> = {
    ...(tls === null
      ? {}
      : {
          [`${PREFIX}.ssl.keystore.type`]: 'PEM',
          [`${PREFIX}.ssl.keystore.location`]: tls.keystore,
        }),
    ...(mechanism === null ? {} : saslProperties(mechanism)),
  };
  return {
    client: {
      brokers: `127.0.0.1:${port}`,
      ca: tls === null ? null : await readFile(tls.ca, 'utf8'),
      caPath: tls?.ca ?? null,
      sasl: mechanism === null ? null : { mechanism, ...USER },
    },
    addTo: (properties) => ({
      ...properties,
      listeners: `${properties['listeners']},${LISTENER}://127.0.0.1:${port}`,
      'listener.security.protocol.map': `${properties['listener.security.protocol.map']},${LISTENER}:${protocol}`,
      ...added,
    }),
    formatArguments: scramArguments(mechanism),
  };
}
