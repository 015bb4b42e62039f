import * as tf from '@tensorflow/tfjs-core';
import { BackendUnavailable, isError, type NestrecError } from '@nestrec/errors';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { BACKENDS, selectBackend, type BackendName } from './index.js';

async function failure(force: string): Promise<NestrecError> {
  try {
    await selectBackend({ force: force as BackendName });
  } catch (error) {
    if (isError(error, BackendUnavailable)) return error;
    throw error;
  }
  throw new Error(`${force} was accepted`);
}

/** Whether the native packages, which are optional, can run on this machine. */
async function loads(name: BackendName): Promise<boolean> {
  return selectBackend({ force: name }).then(
    () => true,
    () => false,
  );
}

afterEach(() => vi.restoreAllMocks());

describe('choosing a backend', () => {
  it('takes the fastest that loads, says in one line why and what would be faster, and is otherwise silent', async () => {
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
    expect(report.line).toContain(`backend ${report.name}: `);
    expect(report.line).not.toContain('\n');
    const faster = BACKENDS.slice(0, BACKENDS.indexOf(report.name));
    for (const name of faster) expect(report.reason).toContain(name);
    if (report.name !== 'tensorflow-gpu') expect(report.line).toContain(report.faster!);
    for (const name of faster) expect(await loads(name)).toBe(false);
  });

  it.each(['wasm', 'cpu'] as const)('takes %s when forced', async (name) => {
    const report = await selectBackend({ force: name });
    expect(report).toMatchObject({ name, reason: 'forced by the settings' });
    expect(tf.getBackend()).toBe(name);
    const sum = tf.tidy(() => tf.sum(tf.tensor1d([1, 2, 3])).dataSync()[0]);
    expect(sum).toBe(6);
  });

  it('fails with what was wanted when the forced one is unknown or does not load', async () => {
    expect((await failure('cuda')).message).toContain(BACKENDS.join(', '));
    for (const name of ['tensorflow', 'tensorflow-gpu'] as const) {
      if (await loads(name)) continue;
      const { message } = await failure(name);
      expect(message).toContain(`${name} was forced and does not load`);
      expect(message).toContain('NESTREC_BACKEND');
    }
  });
});
