import { isError, InvalidConfig, type NestrecError } from '@nestrec/errors';
import { describe, expect, it } from 'vitest';
import {
  booleanSetting,
  choiceSetting,
  describeConfig,
  durationSetting,
  envExample,
  integerSetting,
  loadConfig,
  textSetting,
} from './index.js';

const spec = {
  port: integerSetting({
    env: 'PORT',
    default: 8080,
    min: 1,
    max: 65_535,
    description: 'Port of the API',
  }),
  dataDir: textSetting({
    env: 'NESTREC_DATA_DIR',
    default: '.nestrec',
    description: 'Data folder',
  }),
  backend: choiceSetting({
    env: 'NESTREC_BACKEND',
    choices: ['wasm', 'cpu'],
    default: null,
    description: 'Tensor backend',
  }),
  pretty: booleanSetting({ env: 'NESTREC_PRETTY', default: false, description: 'Colours' }),
  wait: durationSetting({
    env: 'NESTREC_WAIT',
    defaultMs: 2_000,
    minMs: 0,
    maxMs: 60_000,
    description: 'Longest wait',
  }),
  url: textSetting({ env: 'DATABASE_URL', default: null, secret: true, description: 'Database' }),
};

function faultsOf(env: Record<string, string>): NestrecError {
  try {
    loadConfig(spec, env);
  } catch (error) {
    if (isError(error, InvalidConfig)) return error;
    throw error;
  }
  throw new Error('expected a refusal');
}

describe('loadConfig', () => {
  it('runs on defaults with an empty environment', () => {
    expect(loadConfig(spec, {})).toEqual({
      port: 8080,
      dataDir: '.nestrec',
      backend: null,
      pretty: false,
      wait: 2_000,
      url: null,
    });
  });

  it('reports every fault at once, with name, got and wanted', () => {
    const error = faultsOf({ PORT: 'abc', NESTREC_PRETTY: 'yes', NESTREC_WAIT: '5' });
    expect(error.fields.map((f) => f.path)).toEqual(['PORT', 'NESTREC_PRETTY', 'NESTREC_WAIT']);
    expect(error.message).toContain('PORT: got "abc", wanted an integer from 1 to 65535');
    expect(error.traits.exitCode).toBe(78);
  });

  it.each(['0', '70000', '', '8080.5', '0x50', '1e3', ' 80'])('refuses PORT="%s"', (PORT) => {
    expect(faultsOf({ PORT }).fields[0]?.path).toBe('PORT');
  });

  it('refuses an unknown variable of ours and names the nearest', () => {
    const error = faultsOf({ NESTREC_BACKENDS: 'wasm' });
    expect(error.message).toContain('NESTREC_BACKEND (did you mean this?)');
  });

  it('refuses what is nearly a variable of ours without our prefix, and leaves those of others alone', () => {
    const brokers = { ...spec.port, env: 'KAFKA_BROKERS' };
    const load = (name: string) => loadConfig({ brokers }, { [name]: '9092' });
    expect(() => load('KAFKA_BROKER')).toThrow(/KAFKA_BROKERS \(did you mean this\?\)/);
    expect(() => load('KAFKA_HEAP_OPTS')).not.toThrow();
  });

  it('never shows a secret', () => {
    const config = loadConfig(spec, { DATABASE_URL: 'postgres://u:hunter2@h/d' });
    expect(JSON.stringify(describeConfig(spec, config))).not.toContain('hunter2');
    expect(faultsOf({ DATABASE_URL: ' ' }).message).not.toContain('" "');
  });

  it('writes an example that parses back to the defaults', () => {
    const env = Object.fromEntries(
      envExample(spec)
        .split('\n')
        .filter((line) => /^#[A-Z_]+=./.test(line))
        .map((line) => line.slice(1).split('=') as [string, string]),
    );
    expect(env['NESTREC_WAIT']).toBe('2000ms');
    expect(loadConfig(spec, env)).toEqual(loadConfig(spec, {}));
  });
});
