/** What a wrong recipe would do silently: rank a shifted table, look at test cases, decay what is no matrix. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { ModelConfig } from '@nestrec/contracts';
import {
  Histories,
  packHistories,
  splitLeaveOneOut,
  type EvaluationPart,
  type Split,
} from '@nestrec/dataset';
import { metricsOfRanks } from '@nestrec/evaluation';
import { createModel } from '@nestrec/model';
import { initParameters, itemVectors } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { disposeTensors, selectBackend } from '@nestrec/tensor';
import { createEarlyEvaluation } from './early-evaluation.js';
import { rankWithModel } from './model-ranks.js';
import { fitBaselines, rankPart } from './report.js';
import { seenItems } from './seen-items.js';
import { createSettings } from './settings.js';
import { trainModel } from './train-model.js';

const ITEMS = 12;
const SIZES = [2, 4];
const CONFIG: ModelConfig = {
  ...{ sizes: SIZES, blocks: 1, featureWidth: 3, numItems: ITEMS, useBias: true },
  ...{ itemResidual: true, scoreScale: true, rMin: 0, rMax: 0.5 },
};
const random = createRandom(1);
const FEATURES = Float32Array.from({ length: ITEMS * 3 }, () => random.normal());
const MAX_LENGTH = 50;

/** 20 users of five events each, in order of the items from an own start. */
function walks(): Split {
  const items = Int32Array.from(
    { length: 100 },
    (_, e) => 1 + ((Math.floor(e / 5) + (e % 5)) % 12),
  );
  return splitLeaveOneOut({
    itemIds: Array.from({ length: ITEMS }, (_, i) => `i${i}`),
    ...{ offsets: Int32Array.from({ length: 21 }, (_, u) => 5 * u), items, times: null },
  });
}

/** The split, but asking for `part` is an error. */
const without = (part: EvaluationPart): Split => {
  const split = walks();
  return {
    ...split,
    cases(asked) {
      if (asked === part) throw new Error(`looked at ${part} cases`);
      return split.cases(asked);
    },
  };
};

beforeAll(() => selectBackend({ force: 'cpu' }));

describe('the recipe', () => {
  it('ranks exactly the N items: those of a plain computation, without the padding row', () => {
    const stored = initParameters(CONFIG, createRandom(2));
    const model = createModel(CONFIG, FEATURES);
    const parameters = model.createParameters(stored);
    const cases = walks().cases('test');
    const ranks = rankWithModel(model, parameters, cases, seenItems(cases, ITEMS), MAX_LENGTH);
    const table = model.itemTable(parameters);
    const histories = { offsets: cases.historyOffsets, items: cases.history };
    const packed = packHistories(histories, { maxLength: MAX_LENGTH });
    const z = model.lastStates(parameters, table, packed);
    const vectors = itemVectors(CONFIG, stored, FEATURES, 0, ITEMS);
    SIZES.forEach((size, k) => {
      const wanted = cases.target.map((target, c) => {
        const score = (item: number) => {
          let sum = 0;
          for (let d = 0; d < size; d++) sum += z[c * 4 + d]! * vectors[(item - 1) * 4 + d]!;
          return sum;
        };
        let rank = 1;
        for (let i = 1; i <= ITEMS; i++) if (i !== target && score(i) >= score(target)) rank++;
        return rank;
      });
      expect([...ranks.all[k]!]).toEqual([...wanted]);
    });
    table.dispose();
    disposeTensors(parameters);
    model.dispose();
  });

  it('never looks at test cases to choose an epoch', () => {
    const settings = createSettings('fast', SIZES, {});
    const make = (part: EvaluationPart) =>
      createEarlyEvaluation(without(part), CONFIG, settings, createRandom(1));
    expect(make('test').cases.target).toEqual(walks().cases('validation').target);
    expect(() => make('validation')).toThrow('looked at validation');
  });

  it('fits the baselines on training events only', () => {
    const split = walks();
    const train = Histories.of({ offsets: Int32Array.of(0, 3), items: Int32Array.of(7, 7, 7) });
    const part = { split: { ...split, train }, numItems: ITEMS, model: null, text: null };
    const input = { ...part, maxLength: MAX_LENGTH };
    const ranks = rankPart(input, 'test', fitBaselines(input));
    const popularity = ranks.find(({ scorer }) => scorer === 'popularity')!;
    const wanted = split.cases('test').target.map((target) => (target === 7 ? 1 : ITEMS));
    expect([...popularity.all]).toEqual([...wanted]);
    expect(metricsOfRanks(popularity.all)['recall@5']).toBeGreaterThan(0);
  });

  it('decays matrices only, unless told to decay all', async () => {
    const after = async (weightDecay: number, decays: 'matrices' | 'all') => {
      const settings = createSettings('fast', SIZES, {
        ...{ maxEpochs: 1, usersPerBatch: 100, warmupSteps: 0, weightDecay, decays },
        // Matrices that start at 0 do not show whether they decay.
        itemStart: 'drawn',
      });
      const input = { config: CONFIG, settings, split: walks(), features: FEATURES, seed: 3 };
      return (await trainModel(input)).parameters;
    };
    const none = await after(0, 'matrices');
    const changed = async (decays: 'matrices' | 'all') => {
      const decayed = await after(1, decays);
      return [...none].flatMap(([name, { data }]) =>
        data.some((value, i) => value !== decayed.get(name)!.data[i]) ? [name] : [],
      );
    };
    const matrices = await changed('matrices');
    const wanted = (name: string) =>
      /projector\.weight|item_residual|mrl_linear_\d+\.weight/.test(name);
    expect(matrices.sort()).toEqual([...none.keys()].filter(wanted).sort());
    expect(await changed('all')).toContain('model.lru_blocks.0.lru_layer.params_log');
  });
});
