import {
  DatabaseUnavailable,
  InternalError,
  InvalidParameter,
  ItemNotFound,
} from '@nestrec/errors';
import { describe, expect, it } from 'vitest';
import { fileFaultText, mapDatabaseError, sqlState } from './errors.js';

const withCode = (code: string, message = 'driver says no') =>
  Object.assign(new Error(message), { code });

describe('database errors', () => {
  it.each([
    '08006', // connection failure
    '57P01', // administrator's shutdown
    '57P03', // cannot connect now
    '53300', // too many connections
    '53100', // disk full
    '57014', // statement timeout
    '55P03', // lock timeout
    '40001', // serialisation failure
    '40P01', // deadlock
    '25P03', // idle in transaction
    '25006', // read-only after a failover
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    'ETIMEDOUT',
  ])('%s is unavailable and retryable', (code) => {
    const error = mapDatabaseError(withCode(code));
    expect(error).toMatchObject({ code: DatabaseUnavailable.code, retryAfterSeconds: 1 });
    expect(error.traits.retryable).toBe(true);
  });

  it.each([
    'Connection terminated unexpectedly',
    'timeout exceeded when trying to connect',
    'Query read timeout',
    'Connection terminated due to connection timeout',
    'Client has encountered a connection error and is not queryable',
  ])('the driver’s own "%s" is unavailable', (message) => {
    expect(mapDatabaseError(new Error(message)).code).toBe(DatabaseUnavailable.code);
  });

  it('finds a connection fault among the attempts on several addresses', () => {
    const both = new AggregateError([withCode('ECONNREFUSED'), withCode('ENETUNREACH')]);
    expect(mapDatabaseError(both).code).toBe(DatabaseUnavailable.code);
  });

  it.each(['22021', '22P02', '22P05', '22003', '22008', '2201W', '22000', '23514'])(
    '%s is a value the caller must change',
    (code) => {
      expect(mapDatabaseError(withCode(code)).code).toBe(InvalidParameter.code);
    },
  );

  it.each(['42P01', '42601', '23505', '23503', 'XX000'])('%s is a fault of ours', (code) => {
    const error = mapDatabaseError(withCode(code));
    expect(error.code).toBe(InternalError.code);
    expect(sqlState(error)).toBe(code);
  });

  it('keeps the driver’s error as cause, and shows its words to nobody outside', () => {
    const driver = withCode('22P02', 'invalid input syntax: "secret"');
    const error = mapDatabaseError(driver);
    expect(error.cause).toBe(driver);
    expect(error.message).not.toContain('secret');
  });

  it('passes errors of the catalogue unchanged', () => {
    const error = new ItemNotFound();
    expect(mapDatabaseError(error)).toBe(error);
  });

  it('takes no system error for an SQLSTATE', () => {
    expect(sqlState(withCode('EPIPE'))).toBeUndefined();
    expect(sqlState(new Error('plain'))).toBeUndefined();
    expect(sqlState('text')).toBeUndefined();
  });
});

describe('faults of files', () => {
  it.each([
    [{ name: 'ErrnoError', errno: 51 }, /^ENOSPC: no space/],
    [{ name: 'ErrnoError', errno: 7 }, /fault 7$/],
    [new Error('EROFS: read-only'), /^EROFS/],
  ])('%o is told in words', (error, text) => {
    expect(fileFaultText(error)).toMatch(text);
  });
});
