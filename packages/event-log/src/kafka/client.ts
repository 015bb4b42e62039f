/**
 * A kafkajs client from settings: brokers, TLS, SASL, codecs, and kafkajs' log lines through ours.
 *
 * kafkajs reports as errors what it then retries by itself, so its lines are lowered: whoever uses the client
 * says what could not be done.
 */
import { readFileSync } from 'node:fs';
import { InvalidConfig, type FieldFault } from '@nestrec/errors';
import type { Logger } from '@nestrec/runtime';
import kafkajs, {
  type Kafka,
  type KafkaConfig as ClientConfig,
  type SASLOptions,
  type logCreator,
} from 'kafkajs';
import { registerCodecs } from './codecs.js';
import type { KafkaConfig } from './settings.js';

export interface ClientTimeouts {
  readonly connectionTimeoutMs: number;
  /** Of one request; its connection is given up after that. */
  readonly requestTimeoutMs: number;
  readonly retries: number;
}

/** @throws InvalidConfig for settings that contradict each other or files that cannot be read */
export function createClient(config: KafkaConfig, timeouts: ClientTimeouts, logger: Logger): Kafka {
  registerCodecs();
  const faults = [...saslFaults(config), ...tlsFaults(config)];
  if (faults.length > 0) {
    const texts = faults.map(({ path, got, want }) => `${path}: got ${got}, wanted ${want}`);
    throw new InvalidConfig({ detail: texts.join('; '), fields: faults });
  }
  const options: ClientConfig = {
    clientId: 'nestrec',
    brokers: config.kafkaBrokers!.split(','),
    connectionTimeout: timeouts.connectionTimeoutMs,
    authenticationTimeout: timeouts.requestTimeoutMs,
    requestTimeout: timeouts.requestTimeoutMs,
    enforceRequestTimeout: true,
    retry: {
      retries: timeouts.retries,
      initialRetryTime: 100,
      maxRetryTime: 1_000,
      // Whether to go on after a failure is decided by us, not by the client (subscription.ts).
      restartOnFailure: () => Promise.resolve(false),
    },
    logLevel: kafkajs.logLevel.INFO,
    logCreator: logInto(logger),
  };
  const ssl = tlsOptions(config);
  if (ssl !== null) options.ssl = ssl;
  if (config.kafkaSaslMechanism !== null) {
    options.sasl = {
      mechanism: config.kafkaSaslMechanism,
      username: config.kafkaSaslUsername,
      password: config.kafkaSaslPassword,
    } as SASLOptions;
  }
  return new kafkajs.Kafka(options);
}

function saslFaults(config: KafkaConfig): FieldFault[] {
  const { kafkaSaslMechanism: mechanism } = config;
  const pair = [
    ['KAFKA_SASL_USERNAME', config.kafkaSaslUsername],
    ['KAFKA_SASL_PASSWORD', config.kafkaSaslPassword],
  ] as const;
  if (mechanism === null) {
    const want = 'KAFKA_SASL_MECHANISM with it, or none of the three';
    return pair
      .filter(([, value]) => value !== null)
      .map(([path]) => ({ path, got: 'a value', want }));
  }
  return pair
    .filter(([, value]) => value === null)
    .map(([path]) => ({ path, got: 'nothing', want: `a value, for SASL ${mechanism}` }));
}

function tlsFaults(config: KafkaConfig): FieldFault[] {
  const files = [
    ['KAFKA_TLS_CA_FILE', config.kafkaTlsCaFile],
    ['KAFKA_TLS_CERT_FILE', config.kafkaTlsCertFile],
    ['KAFKA_TLS_KEY_FILE', config.kafkaTlsKeyFile],
  ] as const;
  const faults: FieldFault[] = [];
  for (const [path, file] of files) {
    if (file === null) continue;
    if (!config.kafkaTls) faults.push({ path, got: 'a file', want: 'KAFKA_TLS=true with it' });
    else if (readPem(file) === null) {
      faults.push({ path, got: `${file}, which cannot be read`, want: 'a PEM file' });
    }
  }
  if ((config.kafkaTlsCertFile === null) !== (config.kafkaTlsKeyFile === null)) {
    const path = config.kafkaTlsCertFile === null ? 'KAFKA_TLS_CERT_FILE' : 'KAFKA_TLS_KEY_FILE';
    faults.push({ path, got: 'nothing', want: 'a certificate and its key, or neither' });
  }
  return faults;
}

function tlsOptions(config: KafkaConfig): ClientConfig['ssl'] | null {
  if (!config.kafkaTls) return null;
  const pem = (file: string | null) => (file === null ? undefined : (readPem(file) ?? undefined));
  const [ca, cert, key] = [config.kafkaTlsCaFile, config.kafkaTlsCertFile, config.kafkaTlsKeyFile];
  return {
    ...(ca === null ? {} : { ca: [pem(ca)!] }),
    ...(cert === null || key === null ? {} : { cert: pem(cert)!, key: pem(key)! }),
  };
}

function readPem(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

/** kafkajs' stacks and broker answers stay out of it; its messages are enough to follow what it does. */
function logInto(logger: Logger): logCreator {
  return () =>
    ({ namespace, level, log }) => {
      const line = { kafka: namespace, reason: log['error'] as string | undefined };
      if (level === kafkajs.logLevel.ERROR || level === kafkajs.logLevel.WARN)
        logger.debug(line, log.message);
      else logger.trace(line, log.message);
    };
}
