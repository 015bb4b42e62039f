/** What training gets from this machine on the backend at work, in one line: for `nestrec doctor`. */
import { availableParallelism } from 'node:os';
import { modelConfigSchema } from '@nestrec/contracts';
import { activeBackend } from '@nestrec/tensor';
import { usesOneCore } from './replica-count.js';
import { mostItems } from './wasm-memory.js';

/** A model like those that are trained: the default sizes, features of a sentence encoder, a usual batch. */
const TYPICAL = { sizes: [8, 16, 32, 64, 128], blocks: 1, featureWidth: 384, numItems: 1 };
const TYPICAL_LABELS = 1_000;

/** @param workers as in NESTREC_TRAIN_WORKERS; null: unset */
export function describeTraining(workers: number | null): string {
  const backend = activeBackend();
  const cores = availableParallelism();
  if (backend === 'native')
    return `${workers ?? cores} of ${cores} cores, by threads of backend native`;
  if (!usesOneCore(backend)) return `${cores} cores, all used by backend ${backend} itself`;
  const replicas = workers ?? cores;
  const shared =
    replicas === 1
      ? `one worker on ${cores} core(s)`
      : `${replicas} workers on ${cores} core(s) share each step${workers === null ? ' that is large enough' : ''}`;
  if (backend !== 'wasm') return shared;
  const config = modelConfigSchema.parse({ ...TYPICAL, itemResidual: true });
  const items = mostItems({ config, labels: TYPICAL_LABELS, replicas, itemChunk: 0 });
  return (
    `${shared}; wasm's memory ends at 4 GiB, which is about ${items.toLocaleString('en')} items of ` +
    `${TYPICAL.sizes.at(-1)} dimensions with ${TYPICAL.featureWidth} features`
  );
}
