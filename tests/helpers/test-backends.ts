/**
 * The backends that the contract suites of operations and model run on: those of every machine, and the optional ones
 * that load here. What is left out is named; with NESTREC_REQUIRE_SERVICES=1 it is a failure. NESTREC_NATIVE_ADDON names
 * another build of the native operations, such as that of `npm run test:sanitize`.
 */
import { loadNativeOperations } from '@nestrec/tensor-native';
import type { BackendName } from '@nestrec/tensor';

function loads(name: BackendName, load: () => unknown): boolean {
  try {
    load();
    return true;
  } catch (error) {
    if (process.env['NESTREC_REQUIRE_SERVICES'] === '1') throw error;
    console.warn(`backend ${name} is not tested: ${String(error)}`);
    return false;
  }
}

export const BACKENDS_UNDER_TEST: readonly BackendName[] = [
  ...(loads('native', () => loadNativeOperations(process.env['NESTREC_NATIVE_ADDON']))
    ? (['native'] as const)
    : []),
  'wasm',
  'cpu',
];
