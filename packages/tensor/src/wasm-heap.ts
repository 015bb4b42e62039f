/**
 * The heap of the wasm backend: it ends at 4 GiB, and TensorFlow.js does not look. `malloc` answers 0 and the
 * kernels write there, over other tensors, without an error. Here that answer becomes one.
 */
import { InsufficientMemory } from '@nestrec/errors';

/** Where a heap of 32-bit addresses ends. */
export const WASM_HEAP_BYTES = 2 ** 32;

/** What to do where the heap is too small, for error texts. */
export const WASM_HEAP_CURE =
  'take another backend (npm run setup:tensorflow, or a C compiler for the native one), fewer dimensions, or sampled softmax';

/** The parts of the Emscripten module that are used. */
export interface WasmModule {
  _malloc(bytes: number): number;
  _free(address: number): void;
  readonly HEAPU8: { readonly length: number };
}

const guarded = new WeakSet<WasmModule>();

/** From now on a tensor for which there is no room throws `InsufficientMemory`. */
export function guardHeap(module: WasmModule): void {
  if (guarded.has(module)) return;
  guarded.add(module);
  // Emscripten's function puts another one in its own place when it is first called.
  module._free(module._malloc(1));
  const malloc = module._malloc;
  module._malloc = (bytes) => {
    const address = malloc(bytes);
    // Past the end it answers 0, or where 32 bits run over, an address with nothing behind it.
    const end = (address >>> 0) + bytes;
    if ((address === 0 && bytes > 0) || end > module.HEAPU8.length) {
      const [wanted, held] = [bytes / 1e6, module.HEAPU8.length / 2 ** 30];
      throw new InsufficientMemory({
        detail:
          `backend wasm has no room for a tensor of ${wanted.toFixed(1)} MB: its heap has grown to ` +
          `${held.toFixed(2)} GiB and ends at 4; ${WASM_HEAP_CURE}.`,
      });
    }
    return address;
  };
}
