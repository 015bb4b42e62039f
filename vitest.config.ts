/**
 * Test projects: unit (beside the code), contract (one suite per interface, every implementation),
 * integration (real services), e2e (whole processes), quality (trained models against baselines).
 *
 * Packages resolve to their source, so no build is needed and no stale dist/ is tested.
 */
import { defineConfig } from 'vitest/config';

const conditions = ['@nestrec/source'];
const project = (name: string, include: string[], extra: Record<string, unknown> = {}) => ({
  resolve: { conditions: [...conditions, 'module', 'node', 'default'] },
  ssr: { resolve: { conditions: [...conditions, 'module', 'node', 'default'] } },
  test: {
    name,
    include,
    environment: 'node',
    setupFiles: ['tests/helpers/property-seed.ts'],
    testTimeout: 30_000,
    hookTimeout: 120_000,
    // A poll waits for what must come, however busy the machine: vitest's second is a timing assertion.
    expect: { poll: { timeout: 25_000 } },
    ...extra,
  },
});

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      project(
        'unit',
        ['packages/*/src/**/*.test.ts', 'services/*/src/**/*.test.ts', 'tests/unit/**/*.test.ts'],
        {
          globalSetup: ['tests/helpers/backends-setup.ts'],
        },
      ),
      project('contract', ['tests/contract/**/*.test.ts'], {
        globalSetup: ['tests/helpers/global-setup.ts'],
      }),
      project('integration', ['tests/integration/**/*.test.ts'], {
        globalSetup: ['tests/helpers/global-setup.ts'],
        testTimeout: 120_000,
      }),
      project('e2e', ['tests/e2e/**/*.test.ts'], {
        testTimeout: 600_000,
        // After the others, whose times it would spoil; one file at a time where its processes build.
        sequence: { groupOrder: 1 },
        fileParallelism: process.env['NESTREC_CHILDREN'] === 'dist',
      }),
      project('quality', ['tests/quality/**/*.test.ts'], {
        globalSetup: ['tests/helpers/backends-setup.ts'],
        testTimeout: 600_000,
      }),
    ],
  },
});
