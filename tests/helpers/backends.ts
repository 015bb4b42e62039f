/**
 * The backends that a contract suite runs on: all that this machine has. A native one that only lacks its setup
 * is left out with a line at the end of the run, or fails the run where NESTREC_REQUIRE_SERVICES=1.
 *
 * NESTREC_NATIVE_ADDON names another build of the native operations, which the suites then run on alone: that of
 * `npm run test:sanitize`.
 */
import { BACKENDS, findBackend, measureBackend, type BackendName } from '@nestrec/tensor';
import { loadNativeOperations } from '@nestrec/tensor-native';

/** What lacks its setup here, with the cure. */
export function missingBackends(): string[] {
  return BACKENDS.flatMap((name) => {
    const found = findBackend(name);
    return 'reason' in found && found.cure !== null
      ? [`${name} (${found.reason}: ${found.cure})`]
      : [];
  });
}

/** A driver alone is no GPU, and a library for the CPU does not use one: only loading it tells. */
async function usable(name: BackendName): Promise<boolean> {
  if ('reason' in findBackend(name)) return false;
  return name !== 'tensorflow-gpu' || (await measureBackend(name)).figures !== null;
}

async function backendsHere(): Promise<readonly BackendName[]> {
  const addon = process.env['NESTREC_NATIVE_ADDON'];
  if (addon !== undefined) {
    loadNativeOperations(addon);
    return ['native'];
  }
  const missing = missingBackends();
  if (process.env['NESTREC_REQUIRE_SERVICES'] === '1' && missing.length > 0) {
    throw new Error(`backends are required and missing: ${missing.join('; ')}`);
  }
  const here = await Promise.all(BACKENDS.map(usable));
  return BACKENDS.filter((_, i) => here[i]);
}

export const suiteBackends = await backendsHere();
