import { describe, expect, it } from 'vitest';
import { modelConfigSchema } from '@nestrec/contracts';
import { replicaCount } from './replica-count.js';

const config = (numItems: number) =>
  modelConfigSchema.parse({ sizes: [32, 64], blocks: 1, featureWidth: 0, numItems });
const input = { backend: 'wasm', cores: 4, asked: null, config: config(5_000), usersPerBatch: 64 };

describe('replicaCount', () => {
  it('takes a replica per core on backends that keep to one, where the step is large enough', () => {
    expect(replicaCount(input)).toEqual({ replicas: 4, note: null });
    expect(replicaCount({ ...input, backend: 'cpu' }).replicas).toBe(4);
    expect(replicaCount({ ...input, config: config(100) }).replicas).toBe(1);
    expect(replicaCount({ ...input, cores: 1 }).replicas).toBe(1);
  });

  it('does what it is told, but gives every replica a user and an item at least', () => {
    expect(replicaCount({ ...input, asked: 1 }).replicas).toBe(1);
    expect(replicaCount({ ...input, asked: 2, config: config(100) }).replicas).toBe(2);
    expect(replicaCount({ ...input, asked: 8, usersPerBatch: 3 }).replicas).toBe(3);
    expect(replicaCount({ ...input, asked: 8, config: config(2) }).replicas).toBe(2);
  });

  it('leaves backends alone that use every core, and says so to whoever asked for more', () => {
    const native = { ...input, backend: 'tensorflow' };
    expect(replicaCount(native)).toEqual({ replicas: 1, note: null });
    const { replicas, note } = replicaCount({ ...native, asked: 2 });
    expect(replicas).toBe(1);
    expect(note).toMatch(/NESTREC_TRAIN_WORKERS is 2.*tensorflow uses every core/);
  });
});
