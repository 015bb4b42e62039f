import { describe, expect, it } from 'vitest';
import { isError, InvalidConfig } from '@nestrec/errors';
import { checkSettings, createSettings, modelSwitches, PRESET_NAMES } from './settings.js';

const SIZES = [8, 16, 32, 64];

describe('training settings', () => {
  it('every preset is valid for every ladder, with one value per size', () => {
    for (const preset of PRESET_NAMES) {
      for (const sizes of [[1], [8], SIZES, [16, 24, 100, 300, 1_024]]) {
        const settings = createSettings(preset, sizes);
        expect(settings.preset).toBe(preset);
        expect(settings.dropout).toHaveLength(sizes.length);
        expect(settings.blockDropout).toHaveLength(sizes.length);
        expect(settings.residualDropout).toHaveLength(sizes.length);
        expect(settings.segmentRates).toHaveLength(sizes.length);
        expect(settings.prefixShares).toHaveLength(sizes.length);
        const total = settings.lossWeights.reduce((sum, w) => sum + w, 0);
        expect(total).toBeCloseTo(1, 4);
      }
    }
  });

  it('dropout grows with size and the loss weights fall', () => {
    const sizes = [16, 32, 64, 128, 256];
    const { dropout, blockDropout, lossWeights } = createSettings('quality', sizes);
    expect(dropout).toEqual([0, 0.1, 0.25, 0.4, 0.4]);
    expect(blockDropout).toEqual([0.2, 0.3, 0.4, 0.4, 0.4]);
    expect([...lossWeights].sort((a, b) => b - a)).toEqual(lossWeights);
  });

  it('replaces single settings and keeps the rest', () => {
    const settings = createSettings('fast', SIZES, { maxEpochs: 3 });
    expect(settings.maxEpochs).toBe(3);
    expect({ ...settings, maxEpochs: 0 }).toEqual({
      ...createSettings('fast', SIZES),
      maxEpochs: 0,
    });
  });

  it('survives JSON, as manifests need', () => {
    const settings = createSettings('paper', SIZES);
    expect(checkSettings(JSON.parse(JSON.stringify(settings)), SIZES)).toEqual(settings);
  });

  it.each([
    [{ learningRate: 0 }, 'learningRate'],
    [{ dropout: [0.1] }, 'dropout has 1 values, the model has 4 sizes'],
    [{ dropout: [0, 0, 0, 1] }, 'dropout.3'],
    [{ blockDropout: [0.1] }, 'blockDropout has 1 values, the model has 4 sizes'],
    [{ blockDropout: [0, 0, 0, 1] }, 'blockDropout.3'],
    [{ segmentRates: [1, 1] }, 'segmentRates has 2 values, the model has 4 sizes'],
    [{ segmentRates: [1, 1, 1, -1] }, 'segmentRates.3'],
    [{ prefixShares: [1, 1] }, 'prefixShares has 2 values, the model has 4 sizes'],
    [{ prefixShares: [1, 1, 1, 2] }, 'prefixShares.3'],
    [{ lossWeights: [0, 0, 0, 0] }, 'at least one must be > 0'],
    [{ usersPerBatch: 1.5 }, 'usersPerBatch'],
    [{ fullSoftmaxItems: -1 }, 'fullSoftmaxItems'],
    [{ uniformNegatives: 0 }, 'uniformNegatives'],
    [{ popularityNegatives: 0.5 }, 'popularityNegatives'],
    [{ featureComponents: -1 }, 'featureComponents'],
    [{ featureComponents: 8, whitenFeatures: false }, 'only whitened features are cut'],
    [{ unheardOf: 1 }, 'unheardOf'],
  ])('refuses %j and names the setting', (overrides, said) => {
    const attempt = () => createSettings('quality', SIZES, overrides as object);
    expect(attempt).toThrow(said);
    try {
      attempt();
    } catch (error) {
      expect(isError(error, InvalidConfig)).toBe(true);
    }
  });

  it('names the presets when asked for another', () => {
    expect(() => createSettings('best' as 'fast', SIZES)).toThrow('quality, paper, fast');
  });
});

describe('model switches', () => {
  it("switch our additions off for the paper's preset only", () => {
    expect(modelSwitches('paper')).toMatchObject({ itemResidual: false, scoreScale: false });
    expect(modelSwitches('quality')).toMatchObject({ itemResidual: true, scoreScale: true });
    expect(modelSwitches('fast')).toEqual(modelSwitches('quality'));
  });
});
