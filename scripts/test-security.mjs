// The security tests of docs/design with their full numbers (CI runs shorter, seeded forms of the same files):
// B6 1,000 mutants, D7 10,000 probes, D11 1,000 bodies at once, D12 2,000 failing requests, D13 10,000 requests.
// Run: npm run test:security
import { spawnSync } from 'node:child_process';

const FULL = {
  MUTANTS: '1000',
  PROBES: '10000',
  BODIES: '1000',
  LEAK_REQUESTS: '2000',
  FUZZ_REQUESTS: '10000',
};
const FILES = [
  'packages/registry/src/mutants.test.ts',
  'services/api/src/openapi/pollution.test.ts',
  'services/api/src/openapi/leaks.test.ts',
  'services/api/src/openapi/fuzz.test.ts',
  'tests/unit/big-bodies.test.ts',
];
const args = ['vitest', 'run', '--project', 'unit', '--testTimeout', '1800000', ...FILES];
const { status } = spawnSync('npx', [...args, ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { ...FULL, ...process.env },
});
process.exit(status ?? 1);
