// The security tests of docs/design with their full numbers (CI runs shorter, seeded forms of the same files):
// B6 1,000 mutants, D1 (1,000 timed), D2 5,000 requests, D6 every text in every field, D7 10,000 probes, D11 1,000 bodies at once,
// D12 2,000 failing requests, D13 10,000 requests. D3 and D5 need processes: npm run test:chaos -- --only D3,D5
// Run: npm run test:security [-- FILE ...]   (with files: those alone)
import { spawnSync } from 'node:child_process';

const FULL = {
  MUTANTS: '1000',
  GAIN_REQUESTS: '5000',
  INJECTIONS: 'all',
  PROBES: '10000',
  BODIES: '1000',
  TIMING_ROUNDS: '1000',
  LEAK_REQUESTS: '2000',
  FUZZ_REQUESTS: '10000',
};
const FILES = [
  'packages/registry/src/mutants.test.ts',
  'services/api/src/keys/id-matrix.test.ts',
  'services/api/src/keys/tier-gain.test.ts',
  'services/api/src/openapi/pollution.test.ts',
  'services/api/src/openapi/leaks.test.ts',
  'services/api/src/openapi/fuzz.test.ts',
  'tests/unit/pollution-sources.test.ts',
  'tests/unit/big-bodies.test.ts',
  'tests/integration/id-timing.test.ts',
  'tests/integration/api-injection.test.ts',
];
const given = process.argv.slice(2);
const args = ['vitest', 'run', '--project', 'unit', '--project', 'integration'];
const options = ['--testTimeout', '3600000', '--no-file-parallelism'];
const { status } = spawnSync('npx', [...args, ...options, ...(given.length > 0 ? given : FILES)], {
  stdio: 'inherit',
  env: { ...FULL, ...process.env },
});
process.exit(status ?? 1);
