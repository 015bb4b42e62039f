/**
 * Times one training step against the machine's best product and against the reference's arithmetic.
 *
 * Run: npm run bench:train [-- --json]                      the claims: shares of the peak, backends, naive arithmetic
 *      npm run bench:train -- --sizes 32,64,128,256 [--items 12101] [--users 128] [--features 384] [--blocks 1]
 *           [--length 50] [--labels 6.9] [--steps 7] [--backends native,wasm] [--computations fused,naive-arithmetic]
 *
 * Every measurement is a process of its own, with its own peak memory. Times are wall times of the fastest step; the peak
 * is the best product of 1,024^3 of any backend here, measured before and after. On a machine that others use too only
 * ratios within one run count. "naive-arithmetic" does the work of the released code (padded positions, a product and a
 * softmax per size, sequences projected again) with this project's kernels; "tape" is that with TensorFlow.js' own
 * operations and gradients. Catalogues of 200,000 items and more: npm run bench:large.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { BACKENDS, findBackend, LAST_RESORT } from '@nestrec/tensor';
import { workloadSchema, type Measurement, type Workload } from './train/workload.js';

const { values: flags } = parseArgs({
  options: {
    sizes: { type: 'string' },
    items: { type: 'string', default: '12101' },
    users: { type: 'string', default: '128' },
    features: { type: 'string', default: '384' },
    blocks: { type: 'string', default: '1' },
    length: { type: 'string', default: '50' },
    labels: { type: 'string', default: '6.9' },
    steps: { type: 'string', default: '7' },
    backends: { type: 'string' },
    computations: { type: 'string', default: 'fused' },
    json: { type: 'boolean', default: false },
  },
});

const CHILD = fileURLToPath(new URL('./train/step-child.ts', import.meta.url));
const here = BACKENDS.filter((name) => name !== LAST_RESORT && !('reason' in findBackend(name)));

async function inChild<T>(argument: string): Promise<T> {
  const args = ['--conditions=@nestrec/source', '--import', 'tsx', CHILD, argument];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 1e7 });
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as T;
}

const BASE = {
  ...{ items: 12_101, users: 128, features: 384, blocks: 1, length: 50, labels: 6.9, steps: 7 },
  computation: 'fused',
} as const;
const ladder = (width: number) =>
  Array.from({ length: Math.log2(width) - 2 }, (_, i) => 8 * 2 ** i);

/** What docs/results.md states, each line with a word on what it is for. */
function claims(): readonly (readonly [string, Workload])[] {
  const native = here.includes('native') ? 'native' : here[0]!;
  const work = (input: Partial<Workload> & Pick<Workload, 'backend' | 'sizes'>): Workload => ({
    ...BASE,
    ...input,
  });
  const wide = { sizes: ladder(1_024), features: 2_048, steps: 3 };
  const naive = { computation: 'naive-arithmetic' } as const;
  const small = { sizes: [16, 32, 64, 128], items: 3_025, users: 32, steps: 3 };
  return [
    ...[64, 256, 1_024].map(
      (d) => [`width ${d}`, work({ backend: native, sizes: ladder(d), users: 256 })] as const,
    ),
    ...here.map((backend) => ['backends', work({ backend, sizes: ladder(256) })] as const),
    ['naive, batch 32', work({ ...wide, backend: native, users: 32 })],
    ['naive, batch 32', work({ ...wide, ...naive, backend: native, users: 32 })],
    ['naive, batch 256', work({ ...wide, backend: native, users: 256 })],
    ['naive, batch 256', work({ ...wide, ...naive, backend: native, users: 256 })],
    ['naive on wasm', work({ ...small, backend: 'wasm' })],
    ['naive on wasm', work({ ...small, ...naive, backend: 'wasm' })],
    ['tape on wasm', work({ ...small, backend: 'wasm' })],
    ['tape on wasm', work({ ...small, backend: 'wasm', computation: 'tape' })],
  ];
}

/** The workloads that the flags name: every backend with every computation. */
function chosen(sizes: string): readonly (readonly [string, Workload])[] {
  const backends = flags.backends?.split(',') ?? here;
  const numbers = ['items', 'users', 'features', 'blocks', 'length', 'labels', 'steps'] as const;
  const shape = Object.fromEntries(numbers.map((name) => [name, Number(flags[name])]));
  return backends.flatMap((backend) =>
    flags.computations.split(',').map((computation) => {
      const ends = sizes.split(',').map(Number);
      return ['', workloadSchema.parse({ ...shape, backend, computation, sizes: ends })] as const;
    }),
  );
}

async function measurePeaks(): Promise<Record<string, number>> {
  const peaks: Record<string, number> = {};
  for (const name of here) peaks[name] = await inChild<number>(name);
  return peaks;
}

const before = await measurePeaks();
const measured: { purpose: string; result: Measurement }[] = [];
for (const [purpose, workload] of flags.sizes === undefined ? claims() : chosen(flags.sizes)) {
  measured.push({ purpose, result: await inChild<Measurement>(JSON.stringify(workload)) });
}
const after = await measurePeaks();
const peaks = Object.fromEntries(
  here.map((name) => [name, Math.max(before[name]!, after[name]!)] as const),
);
const peak = Math.max(...Object.values(peaks));

if (flags.json) {
  process.stdout.write(`${JSON.stringify({ peaks, measured })}\n`);
} else {
  const head = ['purpose', 'backend', 'computation', 'D', 'F', 'users', 'labels', 'ms'].concat([
    ...['users/s', 'GFLOP/s', 'of the peak', 'MB', 'users/s against the line above'],
  ]);
  const rows = measured.map(({ purpose, result }, i) => {
    const { workload: w } = result;
    const above = measured[i - 1];
    const ratio =
      above?.purpose === purpose ? result.usersPerSecond / above.result.usersPerSecond : 0;
    return [
      ...[purpose, w.backend, w.computation, w.sizes.at(-1)!, w.features, w.users, result.labels],
      ...[result.fastestMs.toFixed(1), result.usersPerSecond.toFixed(0)],
      ...[result.usefulGflops.toFixed(1), `${((100 * result.usefulGflops) / peak).toFixed(1)} %`],
      ...[result.peakMegabytes.toFixed(0), ratio === 0 ? '' : `x ${ratio.toFixed(3)}`],
    ].map(String);
  });
  const widths = head.map((_, c) => Math.max(...[head, ...rows].map((row) => row[c]!.length)));
  const line = (row: readonly string[]) => row.map((cell, c) => cell.padEnd(widths[c]!)).join('  ');
  const best = Object.entries(peaks).map(([name, gflops]) => `${name} ${gflops.toFixed(0)}`);
  process.stdout.write(
    `product of 1,024^3 in GFLOP/s: ${best.join(', ')}\n${[head, ...rows].map(line).join('\n')}\n`,
  );
}
