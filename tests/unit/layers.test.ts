/** A package imports only from lower layers, and services import packages only. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const LAYERS = [
  ['errors', 'contracts', 'evaluation', 'random'],
  ['runtime', 'tensor-files', 'tensor-native', 'parameters', 'client'],
  ['tensor', 'database', 'dataset'],
  ['model', 'features', 'storage', 'event-log'],
  ['training', 'registry', 'streaming'],
  ['publishing', 'retrieval', 'onnx'],
];
/** cli composes the all-in-one process, so it alone may import other services (decision 0002). */
const COMPOSITION_ROOTS = new Set(['cli']);

const root = new URL('../../', import.meta.url);
const list = (folder: string) =>
  readdirSync(new URL(folder, root), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
const dependenciesOf = (folder: string): string[] => {
  const manifest = JSON.parse(readFileSync(new URL(`${folder}/package.json`, root), 'utf8')) as {
    dependencies?: Record<string, string>;
    optionalDependencies?: Record<string, string>;
  };
  return Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })
    .filter((name) => name.startsWith('@nestrec/'))
    .map((name) => name.slice('@nestrec/'.length));
};
const layerOf = (name: string) => LAYERS.findIndex((layer) => layer.includes(name));

describe('layers', () => {
  it.each(list('packages'))('package %s depends on lower layers only', (name) => {
    expect(
      layerOf(name),
      `place ${name} in a layer of tests/unit/layers.test.ts`,
    ).toBeGreaterThanOrEqual(0);
    const tooHigh = dependenciesOf(`packages/${name}`).filter(
      (d) => layerOf(d) < 0 || layerOf(d) >= layerOf(name),
    );
    expect(tooHigh).toEqual([]);
  });

  it('the client depends on contracts only: others install it without the platform', () => {
    expect(dependenciesOf('packages/client')).toEqual(['contracts']);
  });

  it.each(list('services').filter((name) => !COMPOSITION_ROOTS.has(name)))(
    'service %s depends on packages only',
    (name) => {
      expect(dependenciesOf(`services/${name}`).filter((d) => layerOf(d) < 0)).toEqual([]);
    },
  );

  it.each(['api', 'ingest'])('service %s never loads TensorFlow (decision 0003)', (name) => {
    const reached = new Set<string>();
    const visit = (folder: string) => {
      for (const dependency of dependenciesOf(folder)) {
        if (reached.has(dependency)) continue;
        reached.add(dependency);
        visit(`packages/${dependency}`);
      }
    };
    visit(`services/${name}`);
    expect(reached).toContain('streaming');
    expect([...reached].filter((one) => ['tensor', 'model', 'training'].includes(one))).toEqual([]);
  });
});
