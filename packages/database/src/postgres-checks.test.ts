import { describe, expect, it } from 'vitest';
import { judgeServer, type ServerFacts } from './postgres-checks.js';

const GOOD: ServerFacts = {
  version: '18.4',
  versionNumber: 180_004,
  pgvector: '0.8.6',
  pgvectorAvailable: '0.8.6',
  readOnly: false,
  fsync: 'on',
  synchronousCommit: 'on',
  maxConnections: 100,
  encoding: 'UTF8',
};
const judge = (change: Partial<ServerFacts>, allowUnsafeDurability = false) =>
  judgeServer({ ...GOOD, ...change } as ServerFacts, { allowUnsafeDurability, maxConnections: 10 });

describe('a PostgreSQL server', () => {
  it('that is good has no faults and no warnings', () => {
    expect(judge({})).toEqual({ faults: [], warnings: [] });
  });

  it.each<[string, Partial<ServerFacts>, RegExp]>([
    ['is too old', { versionNumber: 140_011, version: '14.11' }, /got 14.11, wanted 15/],
    ['is not UTF-8', { encoding: 'SQL_ASCII' }, /got SQL_ASCII, wanted UTF8/],
    ['lacks pgvector', { pgvector: null, pgvectorAvailable: null }, /pgvector: not installed/],
    ['has an old pgvector', { pgvector: '0.7.4' }, /got 0.7.4, wanted 0.8.0/],
    ['offers an old pgvector', { pgvector: null, pgvectorAvailable: '0.5.0' }, /got 0.5.0/],
    ['is a standby', { readOnly: true }, /read-only/],
    ['has few connections', { maxConnections: 14 }, /got 14, wanted at least 15/],
    ['does not fsync', { fsync: 'off' }, /fsync: got off/],
    ['acknowledges early', { synchronousCommit: 'off' }, /synchronous_commit: got off/],
  ])('that %s is refused', (_, change, fault) => {
    const { faults } = judge(change);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(fault);
  });

  it.each(['0.8.0', '0.8.5'])('with pgvector %s is used with a warning', (pgvector) => {
    expect(judge({ pgvector })).toMatchObject({
      faults: [],
      warnings: [expect.stringContaining(pgvector)],
    });
  });

  it.each(['0.8.6', '0.8.10', '0.9.0', '1.0.0'])('with pgvector %s needs none', (pgvector) => {
    expect(judge({ pgvector })).toEqual({ faults: [], warnings: [] });
  });

  it('may lose data only when that is asked for', () => {
    expect(judge({ fsync: 'off', synchronousCommit: 'off' }, true)).toMatchObject({
      faults: [],
      warnings: [expect.stringContaining('fsync'), expect.stringContaining('synchronous_commit')],
    });
  });

  it('with local or remote acknowledgement is durable enough', () => {
    for (const synchronousCommit of ['local', 'remote_write', 'remote_apply']) {
      expect(judge({ synchronousCommit }).faults).toEqual([]);
    }
  });
});
