/** A training run that is killed without warning goes on to the same weights (reliability.md B7). */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const CHILD = fileURLToPath(new URL('train-child.ts', import.meta.url));
const ARGUMENTS = ['--conditions=@nestrec/source', '--import', 'tsx', CHILD];

interface Outcome {
  readonly weights: string | null;
  readonly resumedAt: number | null;
  readonly lastStep: number;
  readonly signal: string | null;
}

/** Runs the child; kills it with SIGKILL as soon as it says that `killAtStep` is done. */
function train(
  workers: number,
  checkpoint: string | null,
  killAtStep: number | null,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [...ARGUMENTS, 'wasm', String(workers), ...(checkpoint === null ? [] : [checkpoint])],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let text = '';
    const lastStep = () => Number(/step (\d+)\n(?!.*step)/s.exec(text)?.[1] ?? 0);
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (killAtStep !== null && lastStep() >= killAtStep) child.kill('SIGKILL');
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code !== 0 && signal === null) return reject(new Error(`child failed: ${text}`));
      resolve({
        weights: /weights (\w+)/.exec(text)?.[1] ?? null,
        resumedAt: Number(/resumed (\d+)/.exec(text)?.[1] ?? 0),
        lastStep: lastStep(),
        signal,
      });
    });
  });
}

describe('a killed training run', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nestrec-resume-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each([1, 2])(
    'with %i workers continues from its checkpoint to the same SHA-256 of weights as an unbroken run',
    async (workers) => {
      const unbroken = await train(workers, null, null);
      expect(unbroken.weights).toMatch(/^[0-9a-f]{64}$/);
      expect((await train(workers, null, null)).weights).toBe(unbroken.weights);

      const checkpoint = join(folder, `run-${workers}.safetensors`);
      // Once inside the first epoch, once inside a later one (8 steps an epoch).
      for (const step of [3, 19]) {
        const killed = await train(workers, checkpoint, step);
        expect(killed.signal).toBe('SIGKILL');
        expect(killed.weights).toBeNull();
      }
      const resumed = await train(workers, checkpoint, null);
      expect(resumed.resumedAt).toBeGreaterThan(8);
      expect(resumed.resumedAt).toBeLessThan(unbroken.lastStep);
      expect(resumed.weights).toBe(unbroken.weights);

      // Killed after training but before its result was safe: nothing is trained again.
      const again = await train(workers, checkpoint, null);
      expect(again).toEqual({ ...resumed, resumedAt: unbroken.lastStep, lastStep: 0 });
    },
  );
});
