import * as tf from '@tensorflow/tfjs-core';
import { modelConfigSchema } from '@nestrec/contracts';
import { createModel } from '@nestrec/model';
import { initParameters } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { createAdamW, selectBackend, traceOperations } from '@nestrec/tensor';
import { packed } from '../helpers/small-model.js';
await selectBackend({ force: 'native' });
const sizes = (process.argv[2] ?? '8,16,32,64,128,256').split(',').map(Number);
const users = Number(process.argv[3] ?? 128), F = Number(process.argv[4] ?? 384), N = Number(process.argv[5] ?? 12101);
const config = modelConfigSchema.parse({ sizes, blocks: 1, featureWidth: F, numItems: N });
const random = createRandom(2);
const features = Float32Array.from({ length: N * F }, () => random.normal() / Math.sqrt(F));
const seqs = Array.from({ length: users }, () => Math.min(50, 1 + Math.floor(-Math.log(1 - random.uniform()) * 6.4))).sort((a, b) => b - a).map((l) => { const t = Array.from({ length: l }, () => 1 + random.int(N)); return { inputs: [0, ...t.slice(0, -1)], targets: t }; });
const rows = packed(seqs);
const model = createModel(config, features);
const parameters = new Map(model.createParameters(initParameters(config, random)));
const opt = createAdamW({ lr: () => 1e-3, betas: [0.9, 0.999], eps: 1e-9, weightDecay: 0.01, clipNorm: 5, decays: () => true });
const best = new Map<string, number>(); let bestWall = 1e9;
const rate = sizes.map((_, i) => 0.1 + 0.05 * i);
for (let i = 0; i < 8; i++) {
  const t0 = performance.now();
  const ops = traceOperations(() => { const { gradients } = model.lossAndGradients(parameters, rows, { dropout: rate, residualDrop: rate, random: random.fork(String(i)) }); opt.step(parameters, gradients); });
  const wall = performance.now() - t0;
  if (wall < bestWall) { bestWall = wall; best.clear(); for (const o of ops) best.set(o.name, (best.get(o.name) ?? 0) + o.ms); }
}
let sum = 0; for (const [n, ms] of [...best].sort((a, b) => b[1] - a[1])) { sum += ms; console.log(n.padEnd(24), ms.toFixed(2)); }
console.log('rows', rows.rows, 'native', sum.toFixed(1), 'wall', bestWall.toFixed(1), 'rss', (process.resourceUsage().maxRSS / 1e3).toFixed(0), 'MB');
const p = await tf.profile(() => { const { gradients } = model.lossAndGradients(parameters, rows, { dropout: rate, residualDrop: rate, random }); opt.step(parameters, gradients); });
const ks = new Map<string, number>(); for (const k of p.kernels) { const size = Math.max(...k.outputShapes.filter(Boolean).map((s) => s!.reduce((a, b) => a * b, 1))); ks.set(k.name, Math.max(ks.get(k.name) ?? 0, size)); }
console.log([...ks]);
