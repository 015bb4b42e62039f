import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { BackendUnavailable, isError, type NestrecError } from '@nestrec/errors';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { suiteBackends } from '../../../tests/helpers/backends.js';
import {
  BACKENDS,
  findBackend,
  measureBackend,
  selectBackend,
  type BackendName,
  type BackendReport,
} from './index.js';

async function failure(force: string): Promise<NestrecError> {
  try {
    await selectBackend({ force: force as BackendName });
  } catch (error) {
    if (isError(error, BackendUnavailable)) return error;
    throw error;
  }
  throw new Error(`${force} was accepted`);
}

afterEach(() => vi.restoreAllMocks());

describe('choosing a backend', () => {
  it('takes the first that is there, says in one line why and what would be faster, and is otherwise silent', async () => {
    const printed: unknown[] = [];
    const note = (...text: unknown[]) => void printed.push(text);
    for (const method of ['log', 'warn', 'error', 'info'] as const) {
      vi.spyOn(console, method).mockImplementation(note);
    }
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      printed.push(text);
      return true;
    });
    const report = await selectBackend();
    tf.scalar(1).dispose();
    expect(printed).toEqual([]);
    expect(report.name).toBe(suiteBackends[0]);
    expect(report.line).toContain(`backend ${report.name}: `);
    expect(report.line).not.toContain('\n');
    for (const name of BACKENDS.slice(0, BACKENDS.indexOf(report.name))) {
      expect(report.reason).toContain(name);
      const found = findBackend(name);
      const cure = 'cure' in found ? found.cure : null;
      if (cure !== null) expect(report.line).toContain(`${name} (${cure})`);
    }
  });

  it.each(suiteBackends)('takes %s when forced', async (name) => {
    const report = await selectBackend({ force: name });
    expect(report).toMatchObject({ name, reason: 'forced by the settings' });
    expect(tf.getBackend()).toBe(name.replace('-gpu', ''));
    const sum = tf.tidy(() => tf.sum(tf.tensor1d([1, 2, 3])).dataSync()[0]);
    expect(sum).toBe(6);
  });

  it('fails with what was wanted when the forced one is unknown or does not load', async () => {
    expect((await failure('cuda')).message).toContain(BACKENDS.join(', '));
    for (const name of BACKENDS.filter((one) => !suiteBackends.includes(one))) {
      const { message } = await failure(name);
      expect(message).toContain(`${name} was forced and does not load`);
      expect(message).toContain('NESTREC_BACKEND');
    }
  });

  const noGpu = suiteBackends.includes('tensorflow') && !suiteBackends.includes('tensorflow-gpu');
  it.runIf(noGpu)('never names tensorflow-gpu where its library computes on the CPU', async () => {
    expect((await failure('tensorflow-gpu')).message).toContain('finds no GPU');
    // And the backend that computes there is still to be had by its own name.
    expect((await selectBackend({ force: 'tensorflow' })).name).toBe('tensorflow');
  });
});

describe('measuring a backend', { timeout: 180_000 }, () => {
  it('gives the time of a step and the rate of a product', async () => {
    const { figures, reason } = await measureBackend('wasm');
    expect(reason).toBeNull();
    expect(figures!.stepMs).toBeGreaterThan(0);
    expect(figures!.gflops).toBeGreaterThan(0);
  });

  it('says why a backend cannot be used, and the cure', async () => {
    for (const name of BACKENDS.filter((one) => !suiteBackends.includes(one))) {
      const found = findBackend(name);
      expect(await measureBackend(name)).toMatchObject({ name, figures: null, ...found });
    }
  });
});

// Without a second one that may be the fastest, there is nothing to measure.
describe.runIf(suiteBackends.length > 2)(
  'remembering what was measured',
  { timeout: 180_000 },
  () => {
    interface Kept {
      key: string;
      measurements: { name: string; figures: { stepMs: number } | null; reason: string | null }[];
    }
    let folder: string;
    const file = () => join(folder, 'backends.json');
    const read = async () => JSON.parse(await readFile(file(), 'utf8')) as Kept;
    const change = async (edit: (kept: Kept) => void) => {
      const kept = await read();
      edit(kept);
      await writeFile(file(), JSON.stringify(kept));
    };
    /** Makes wasm the fastest by far, which no measurement finds. */
    const favourWasm = (kept: Kept) => {
      for (const one of kept.measurements) {
        one.figures!.stepMs = one.name === 'wasm' ? 0.5 : 1_000;
      }
    };
    const choose = () => selectBackend({ cacheFolder: folder });

    /** What a first choice found and kept. */
    let first: { report: BackendReport; kept: string };

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'nestrec-backends-'));
      first = { report: await choose(), kept: await readFile(file(), 'utf8') };
    });
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'nestrec-backends-'));
      await writeFile(file(), first.kept);
    });

    it('takes the fastest step of all that load, and asks its file the next time', async () => {
      const { measurements } = await read();
      const fastest = measurements.reduce((a, b) =>
        a.figures!.stepMs <= b.figures!.stepMs ? a : b,
      );
      expect(first.report.name).toBe(fastest.name);
      expect(measurements.map(({ name }) => name)).toEqual(
        suiteBackends.filter((name) => name !== 'cpu'),
      );
      for (const { name } of measurements) expect(first.report.line).toContain(`${name} `);
      await change(favourWasm);
      expect(await choose()).toMatchObject({ name: 'wasm' });
      // One that failed in its probe is out, however fast it was, and the line says so.
      await change((kept) => {
        const wasm = kept.measurements.find(({ name }) => name === 'wasm')!;
        Object.assign(wasm, { figures: null, reason: 'its probe ended with SIGILL' });
      });
      const without = await choose();
      expect(without.name).not.toBe('wasm');
      expect(without.line).toContain('wasm is left out: its probe ended with SIGILL');
    });

    it.each([
      ['damaged', () => writeFile(file(), '{"key": "')],
      ['of another machine', () => change((kept) => void (kept.key = 'another'))],
    ])('measures again where the file is %s', async (_, spoil) => {
      await change(favourWasm);
      await spoil();
      await choose();
      const { measurements } = await read();
      expect(measurements.find(({ name }) => name === 'wasm')!.figures!.stepMs).not.toBe(0.5);
      expect(await readdir(folder)).toEqual(['backends.json']);
    });

    it('falls back to the order of the list where no probe gets through and nothing can be kept', async () => {
      vi.stubEnv('NODE_OPTIONS', '--no-such-option');
      const report = await selectBackend({ cacheFolder: file() });
      vi.unstubAllEnvs();
      expect(report.name).toBe(suiteBackends[0]);
      expect(report.line).toContain('wasm is left out: its probe failed');
      expect(report.line).toContain('--no-such-option');
    });
  },
);
