/**
 * A training run in its own process, to be killed: trains the small set with a checkpoint after every
 * step and prints `step N` lines, then `weights SHA256`.
 *
 *   node --conditions=@nestrec/source --import tsx tests/quality/train-child.ts BACKEND WORKERS CHECKPOINT
 */
import { splitLeaveOneOut } from '@nestrec/dataset';
import { BACKENDS, selectBackend } from '@nestrec/tensor';
import { createSettings, hashArrays, trainModel } from '@nestrec/training';
import { smallConfig, smallSet } from './small-set.js';

const [backend, workers, path] = process.argv.slice(2);
await selectBackend({ force: BACKENDS.find((name) => name === backend) });
const { dataset, features } = smallSet(80, 120, 11);
const sizes = [4, 8];
const result = await trainModel({
  config: smallConfig(80, sizes),
  settings: createSettings('fast', sizes, { maxEpochs: 4, usersPerBatch: 16, patience: 0 }),
  split: splitLeaveOneOut(dataset),
  features,
  seed: 5,
  workers: Number(workers),
  checkpoint: path ? { path, everyMs: 0, other: 'refuse' } : undefined,
  onProgress: (p) => {
    if (p.kind === 'step') process.stdout.write(`step ${p.step}\n`);
  },
});
process.stdout.write(`resumed ${result.resumedAtStep}\nweights ${hashArrays(result.parameters)}\n`);
