/** Settings of the Kafka connection, the same in every process that reads or writes the log. */
import {
  booleanSetting,
  choiceSetting,
  durationSetting,
  integerSetting,
  textSetting,
  type Config,
} from '@nestrec/runtime';
import { DEFAULT_TOPIC } from '../embedded-log.js';

export const SASL_MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;

export const kafkaSettings = {
  kafkaBrokers: textSetting({
    env: 'KAFKA_BROKERS',
    default: null,
    want: 'host:port,host:port,...',
    pattern: /^[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*$/,
    description: 'Kafka brokers to begin with; unset takes the log in the database',
  }),
  kafkaTopic: textSetting({
    env: 'KAFKA_TOPIC',
    default: DEFAULT_TOPIC,
    want: 'a topic name of letters, digits, dots, dashes and underscores',
    pattern: /^[\w.-]{1,240}$/,
    description: 'Topic of events, keyed by user id',
  }),
  kafkaDeadLetterTopic: textSetting({
    env: 'KAFKA_DEAD_LETTER_TOPIC',
    default: 'interactions.dlq.v1',
    want: 'a topic name of letters, digits, dots, dashes and underscores',
    pattern: /^[\w.-]{1,240}$/,
    description: 'Topic of records that could not be applied',
  }),
  kafkaCreateTopics: booleanSetting({
    env: 'KAFKA_CREATE_TOPICS',
    default: true,
    description: 'Create both topics where they are absent',
  }),
  kafkaPartitions: integerSetting({
    env: 'KAFKA_PARTITIONS',
    default: 4,
    min: 1,
    // A token of POST /v1/events names them all, and has to fit a URL.
    max: 256,
    description:
      'Partitions of the topics when they are created; more cannot be had later without a new topic',
  }),
  kafkaReplicationFactor: integerSetting({
    env: 'KAFKA_REPLICATION_FACTOR',
    default: null,
    min: 1,
    max: 10,
    description: "Replicas of the topics when they are created; unset takes the broker's default",
  }),
  kafkaConsumerGroup: textSetting({
    env: 'KAFKA_CONSUMER_GROUP',
    default: 'nestrec-ingest',
    description: 'Consumer group that ingest processes share partitions in',
  }),
  kafkaSessionTimeoutMs: durationSetting({
    env: 'KAFKA_SESSION_TIMEOUT',
    defaultMs: 10_000,
    minMs: 3_000,
    maxMs: 300_000,
    description: 'After this silence a consumer loses its partitions to the others of its group',
  }),
  kafkaTls: booleanSetting({
    env: 'KAFKA_TLS',
    default: false,
    description: 'Speak TLS with the brokers',
  }),
  kafkaTlsCaFile: textSetting({
    env: 'KAFKA_TLS_CA_FILE',
    default: null,
    want: 'a PEM file',
    description: "Certificates that sign the brokers'; unset takes those of Node",
  }),
  kafkaTlsCertFile: textSetting({
    env: 'KAFKA_TLS_CERT_FILE',
    default: null,
    want: 'a PEM file',
    description: 'Certificate of this client, for brokers that ask for one',
  }),
  kafkaTlsKeyFile: textSetting({
    env: 'KAFKA_TLS_KEY_FILE',
    default: null,
    want: 'a PEM file',
    description: 'Private key of that certificate',
  }),
  kafkaSaslMechanism: choiceSetting({
    env: 'KAFKA_SASL_MECHANISM',
    choices: SASL_MECHANISMS,
    default: null,
    description: 'How to say who we are; unset says nothing',
  }),
  kafkaSaslUsername: textSetting({
    env: 'KAFKA_SASL_USERNAME',
    default: null,
    description: 'User name for SASL',
  }),
  kafkaSaslPassword: textSetting({
    env: 'KAFKA_SASL_PASSWORD',
    default: null,
    secret: true,
    description: 'Password for SASL',
  }),
};

export type KafkaConfig = Config<typeof kafkaSettings>;
