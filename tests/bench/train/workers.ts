/**
 * Times training steps by one worker and by several, in turns, on the same batch (`npm run bench:workers`).
 *
 * The fastest step of each counts. Beside its wall time stands the processor time of its busiest thread (Linux): on a
 * machine that others use too, threads wait for a core and then for each other, and wall time says little.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { ModelConfig, NamedArrays } from '@nestrec/contracts';
import type { PackedBatch } from '@nestrec/dataset';
import type { LabelledRows } from '@nestrec/model';
import { createRandom } from '@nestrec/random';
import { createSettings } from '@nestrec/training';
import { createSteps } from '../../../packages/training/src/steps/plan-steps.js';

export interface WorkersTiming {
  readonly workers: number;
  /** The fastest step. */
  readonly stepMs: number;
  /** Processor time of the busiest thread, the least of all steps; null where the system does not tell. */
  readonly busyMs: number | null;
  readonly usersPerSecond: number;
  readonly loss: number;
}

const TASKS = '/proc/self/task';

/** Processor time of each thread so far, in milliseconds; none where the system does not tell. */
function threadTimes(): Map<string, number> {
  if (!existsSync(`${TASKS}/${process.pid}/schedstat`)) return new Map();
  return new Map(
    readdirSync(TASKS).flatMap((task): [string, number][] => {
      try {
        const [nanoseconds] = readFileSync(`${TASKS}/${task}/schedstat`, 'utf8').split(' ');
        return [[task, Number(nanoseconds) / 1e6]];
      } catch {
        return []; // It has ended.
      }
    }),
  );
}

function busiest(before: ReadonlyMap<string, number>): number | null {
  const times = [...threadTimes()].map(([task, ms]) => ms - (before.get(task) ?? 0));
  return times.length === 0 ? null : Math.max(...times);
}

interface Best {
  stepMs: number;
  busyMs: number | null;
  loss: number;
}

const least = (a: number | null, b: number | null) =>
  a === null || b === null ? (a ?? b) : Math.min(a, b);

const ROUNDS = 3;
const WARM_UP = 2;

export async function timeWorkers(
  config: ModelConfig,
  features: Float32Array,
  parameters: NamedArrays,
  rows: LabelledRows,
  users: number,
  counts: readonly number[],
  steps: number,
): Promise<WorkersTiming[]> {
  const batch: PackedBatch = { ...rows, users: new Int32Array(users), labels: rows.rows };
  const start = {
    ...{ config, features, parameters, optimizer: new Map(), stepsDone: 0, totalSteps: 1_000 },
    settings: createSettings('quality', config.sizes),
    random: createRandom(1).state(),
  };
  const best = new Map<number, Best>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const workers of counts) {
      const plan = { replicas: workers, itemChunk: 0, note: null };
      const training = await createSteps(start, plan);
      for (let i = 0; i < WARM_UP + steps; i++) {
        const startedMs = performance.now();
        const threads = threadTimes();
        const { loss } = await training.step(batch, i);
        const stepMs = performance.now() - startedMs;
        const busyMs = busiest(threads);
        if (i < WARM_UP) continue;
        const before = best.get(workers) ?? { stepMs, busyMs, loss };
        best.set(workers, {
          stepMs: Math.min(before.stepMs, stepMs),
          busyMs: least(before.busyMs, busyMs),
          loss,
        });
      }
      await training.dispose();
    }
  }
  return [...best].map(([workers, one]) => ({
    ...{ workers, ...one },
    usersPerSecond: (1_000 * users) / one.stepMs,
  }));
}

export function workersLines(timings: readonly WorkersTiming[]): string[] {
  const [first] = timings;
  return timings.map(({ workers, stepMs, busyMs, usersPerSecond, loss }) => {
    const speed = (first!.stepMs / stepMs).toFixed(2);
    const busy =
      busyMs === null || first!.busyMs === null
        ? ''
        : ` (busiest thread ${busyMs.toFixed(0)} ms, ${(first!.busyMs / busyMs).toFixed(2)} times)`;
    return (
      `${workers} worker(s): ${stepMs.toFixed(0)} ms a step at best, ${usersPerSecond.toFixed(0)} users/s, ` +
      `${speed} times the speed of one${busy}, loss ${loss.toFixed(5)}`
    );
  });
}
