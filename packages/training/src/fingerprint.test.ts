import { modelConfigSchema } from '@nestrec/contracts';
import { Histories } from '@nestrec/dataset';
import { describe, expect, it } from 'vitest';
import { fingerprintOf, type RunIdentity } from './fingerprint.js';
import { createSettings } from './settings.js';

const ints = (...values: number[]) => Int32Array.from(values);

const run: RunIdentity = {
  config: modelConfigSchema.parse({ sizes: [4], blocks: 1, featureWidth: 1, numItems: 2 }),
  settings: createSettings('fast', [4]),
  seed: 1,
  train: Histories.of({ offsets: ints(0, 2), items: ints(1, 2) }),
  validation: {
    user: ints(0),
    historyOffsets: ints(0, 1),
    history: ints(1),
    target: ints(2),
  },
  features: Float32Array.of(0.5, -0.5),
};

/** Every part of a run's identity, changed a little. */
const changes: [string, Partial<RunIdentity>][] = [
  ['config', { config: { ...run.config, rMax: 0.4 } }],
  ['settings', { settings: { ...run.settings, learningRate: 0.001 } }],
  ['seed', { seed: 2 }],
  ['train offsets', { train: Histories.of({ offsets: ints(0, 1), items: ints(1, 2) }) }],
  ['train items', { train: Histories.of({ offsets: ints(0, 2), items: ints(2, 1) }) }],
  ['history offsets', { validation: { ...run.validation, historyOffsets: ints(0, 0) } }],
  ['history', { validation: { ...run.validation, history: ints(2) } }],
  ['target', { validation: { ...run.validation, target: ints(1) } }],
  ['features', { features: Float32Array.of(0.5, -0.25) }],
];

describe('fingerprintOf', () => {
  it.each(changes)('tells a run with another %s apart', (_name, change) => {
    expect(fingerprintOf({ ...run, ...change })).not.toBe(fingerprintOf(run));
  });

  it('does not depend on the order in which settings were written', () => {
    const reversed = Object.fromEntries(Object.entries(run.settings).reverse());
    const settings = reversed as typeof run.settings;
    expect(fingerprintOf({ ...run, settings })).toBe(fingerprintOf(run));
  });
});
