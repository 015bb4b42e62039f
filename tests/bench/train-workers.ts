/**
 * Times a training step by one worker and by several on a backend whose kernels keep to one core.
 *
 * Run: npm run bench:workers -- [--backend wasm] [--workers 1,2] [--sizes 8,16,32,64,128,256] [--items 12101] [--users 128]
 *                               [--features 384] [--steps 4] [--json]
 */
import { parseArgs } from 'node:util';
import { initParameters } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { selectBackend, type BackendName } from '@nestrec/tensor';
import { packed } from '../helpers/small-model.js';
import { timeWorkers, workersLines } from './train/workers.js';
import { configOf, histories, workloadSchema } from './train/workload.js';

const { values: flags } = parseArgs({
  options: {
    backend: { type: 'string', default: 'wasm' },
    workers: { type: 'string', default: '1,2' },
    sizes: { type: 'string', default: '8,16,32,64,128,256' },
    items: { type: 'string', default: '12101' },
    users: { type: 'string', default: '128' },
    features: { type: 'string', default: '384' },
    steps: { type: 'string', default: '4' },
    json: { type: 'boolean', default: false },
  },
});

await selectBackend({ force: flags.backend as BackendName });
const workload = workloadSchema.parse({
  ...{ backend: flags.backend, computation: 'fused', blocks: 1, length: 50, labels: 6.9 },
  ...{ items: Number(flags.items), users: Number(flags.users), features: Number(flags.features) },
  ...{ sizes: flags.sizes.split(',').map(Number), steps: Number(flags.steps) },
});
const config = configOf(workload);
const random = createRandom(2);
const features = Float32Array.from(
  { length: config.numItems * config.featureWidth },
  () => random.normal() / Math.sqrt(config.featureWidth),
);
const counts = flags.workers.split(',').map(Number);
const timings = await timeWorkers(
  ...([config, features, initParameters(config, random), packed(histories(workload))] as const),
  ...([workload.users, counts, workload.steps] as const),
);
process.stdout.write(
  flags.json
    ? `${JSON.stringify({ workload, timings })}\n`
    : `${workersLines(timings).join('\n')}\n`,
);
