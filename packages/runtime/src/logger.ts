/**
 * Structured logs: one JSON line per event, UTC, secrets redacted by fixed paths.
 *
 * Writes to standard error, so that commands keep standard output for their result.
 */
import { pino, stdTimeFunctions, type Logger as PinoLogger } from 'pino';
import { PinoPretty } from 'pino-pretty';

export type Logger = PinoLogger;
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Paths are case-sensitive and fixed here: never built from input. */
const REDACTED = [
  'req.headers.authorization',
  'req.headers["x-api-key"]',
  'req.headers.cookie',
  'err.body',
  'err.config',
  '*.password',
  '*.secret',
];

export interface LoggerOptions {
  readonly name: string;
  readonly level: LogLevel;
  /** Coloured lines for people instead of JSON for machines. */
  readonly pretty?: boolean;
  /** Where lines go; standard error where absent. */
  readonly destination?: { write(line: string): void };
}

export function createLogger(options: LoggerOptions): Logger {
  const settings = {
    name: options.name,
    level: options.level,
    timestamp: stdTimeFunctions.isoTime,
    redact: { paths: REDACTED, censor: '(redacted)' },
  };
  if (options.destination !== undefined) return pino(settings, options.destination);
  if (options.pretty ?? false) {
    return pino(settings, PinoPretty({ destination: 2, sync: true, ignore: 'pid,hostname' }));
  }
  return pino(settings, pino.destination({ dest: 2, sync: true }));
}

/** Drops everything; for tests and for callers that do not care. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}
