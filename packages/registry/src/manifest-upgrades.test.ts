import { MANIFEST_FORMAT_VERSION } from '@nestrec/contracts';
import { describe, expect, it } from 'vitest';
import { readManifest, type ManifestUpgrade } from './manifest-upgrades.js';
import { makeDraft } from '../../../tests/helpers/artifact-draft.js';

const current = {
  ...makeDraft().manifest,
  formatVersion: MANIFEST_FORMAT_VERSION,
  itemIdsSha256: 'a'.repeat(64),
  files: [],
};

describe('manifest upgrades', () => {
  it('reads the current format as it is', () => {
    expect(readManifest(current)).toEqual(current);
  });

  it('reads the first format, whose models were never asked what the quality gate goes by', () => {
    expect(readManifest({ ...current, formatVersion: 1 })).toEqual(current);
    expect(current).not.toHaveProperty('evaluation');
  });

  it('runs one named function per older version, in a row', () => {
    const { seed, ...withoutSeed } = current;
    const oldest = { ...withoutSeed, randomSeed: seed, formatVersion: -1 };
    const dropNothing: ManifestUpgrade = (manifest) => manifest;
    const renameSeed: ManifestUpgrade = ({ randomSeed, ...rest }) => ({
      ...rest,
      seed: randomSeed,
    });
    const upgrades = new Map([
      [-1, dropNothing],
      [0, renameSeed],
      [1, dropNothing],
    ]);
    expect(readManifest(oldest, upgrades)).toEqual(current);
    expect(() => readManifest(oldest, new Map([[-1, dropNothing]]))).toThrow(/version 0, never/);
  });

  it('refuses newer formats and says what to do', () => {
    const newer = { ...current, formatVersion: MANIFEST_FORMAT_VERSION + 1 };
    expect(() => readManifest(newer)).toThrow(/Use the nestrec that wrote it, or a newer one/);
  });
});
