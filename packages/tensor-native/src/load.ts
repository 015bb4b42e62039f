/**
 * Loads the compiled addon, where there is one: what build.mjs made here, or else a file that came with the package.
 * Knows nothing of tensors.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { NativeOperations } from './operations.js';

const require = createRequire(import.meta.url);
const FILE = `tensor-native-${process.platform}-${process.arch}.node`;
/** What to do where there is none. */
export const NATIVE_CURE = 'install gcc or clang, then npm run build:native';

/** Places to look, in this order; relative to src/ and dist/ alike. */
const PLACES = [`../build/${FILE}`, `../prebuilds/${FILE}`];

/** The addon's file, or null where it has not been built. */
export function findNativeOperations(): string | null {
  const files = PLACES.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  return files.find((file) => existsSync(file)) ?? null;
}

let loaded: NativeOperations | undefined;

/**
 * The operations, with as many threads as the process may use processors until `setThreads` says otherwise.
 *
 * @param file another build to take, such as the one with AddressSanitizer.
 * @throws Error when no addon has been built, or it does not load; the message says what to do.
 */
export function loadNativeOperations(file?: string): NativeOperations {
  if (loaded !== undefined) return loaded;
  const found = file ?? findNativeOperations();
  if (found === null) throw new Error(`the native operations are not built: ${NATIVE_CURE}`);
  loaded = require(found) as NativeOperations;
  loaded.setThreads(availableParallelism());
  return loaded;
}
