/**
 * Ranks of cases under a model that was made of other items: the published one on a candidate's cases.
 *
 * Item vectors come as that model serves them, E_i with whatever residual it has, so that the model is
 * written anew with these vectors as its residuals and nothing else in its table. What it has no vector of
 * it cannot show: such items are no competitors, are skipped in histories as serving does, and as targets
 * they are missed.
 */
import type { ModelConfig, ModelExit, NamedArray, NamedArrays } from '@nestrec/contracts';
import type { EvaluationCases } from '@nestrec/dataset';
import { ITEM_RESIDUAL, PROJECTOR_BIAS, PROJECTOR_WEIGHT } from '@nestrec/parameters';
import { seenItems } from './seen-items.js';
import { createTrainedModel } from './trained-model.js';

export interface ServedModel {
  readonly config: ModelConfig;
  readonly parameters: NamedArrays;
  /** Internal ids, 1..N of the cases, of the items that the model can show, ascending. */
  readonly ids: Int32Array;
  /** Their vectors E_i, ids x D. Taken over: do not use them afterwards. */
  readonly vectors: Float32Array;
  /** Newest events of a history that the model is shown. */
  readonly maxLength: number;
}

export interface ServedRanks {
  /** By size of the model. */
  readonly masked: readonly Int32Array[];
  /** At the early exits of the model, by size of theirs. */
  readonly exits: readonly { readonly blocks: number; readonly masked: readonly Int32Array[] }[];
}

/** Ranks with seen items left out; `numItems + 1` for what it cannot show. */
export function rankAmongServed(
  served: ServedModel,
  cases: EvaluationCases,
  numItems: number,
): ServedRanks {
  const missed = numItems + 1;
  const place = new Int32Array(missed);
  served.ids.forEach((id, i) => (place[id] = i + 1));
  const asked = Int32Array.from(cases.target.keys()).filter((c) => place[cases.target[c]!] !== 0);
  const { sizes, exits = [] } = served.config;
  const none = () => sizes.map(() => new Int32Array(cases.target.length).fill(missed));
  const trained = ({ dim }: ModelExit) => sizes.filter((size) => size <= dim).length;
  if (asked.length === 0) {
    const masked = none();
    return {
      masked,
      exits: exits.map((exit) => ({
        blocks: exit.blocks,
        masked: masked.slice(0, trained(exit)),
      })),
    };
  }
  const { config, parameters } = rewritten(served);
  const model = createTrainedModel(config, parameters, new Float32Array(0));
  try {
    const known = renumbered(cases, asked, place);
    const seen = seenItems(known, served.ids.length);
    const ranksAt = (blocks?: number): Int32Array[] => {
      const ranks = none();
      const { masked } = model.rank(known, seen, served.maxLength, blocks);
      masked.forEach((found, k) => asked.forEach((c, i) => (ranks[k]![c] = found[i]!)));
      return ranks;
    };
    return {
      masked: ranksAt(),
      exits: exits.map((exit) => ({
        blocks: exit.blocks,
        masked: ranksAt(exit.blocks).slice(0, trained(exit)),
      })),
    };
  } finally {
    model.dispose();
  }
}

/** The model with R_i = E_i - p, so that p + R_i is what it serves and an empty history stays x = p. */
function rewritten({ config, parameters, ids, vectors }: ServedModel) {
  const width = config.sizes.at(-1)!;
  const bias = parameters.get(PROJECTOR_BIAS)!.data;
  for (let i = 0; i < vectors.length; i++) vectors[i]! -= bias[i % width]!;
  const changed = new Map<string, NamedArray>(parameters);
  changed.delete(PROJECTOR_WEIGHT);
  changed.set(ITEM_RESIDUAL, { shape: [ids.length, width], data: vectors });
  return {
    config: { ...config, featureWidth: 0, numItems: ids.length, itemResidual: true },
    parameters: changed,
  };
}

/** The cases at `asked` in the numbering of `place`, whose 0 is an item to skip. */
function renumbered(cases: EvaluationCases, asked: Int32Array, place: Int32Array): EvaluationCases {
  const historyOffsets = new Int32Array(asked.length + 1);
  const history: number[] = [];
  asked.forEach((c, i) => {
    for (let h = cases.historyOffsets[c]!; h < cases.historyOffsets[c + 1]!; h++) {
      const item = place[cases.history[h]!]!;
      if (item !== 0) history.push(item);
    }
    historyOffsets[i + 1] = history.length;
  });
  return {
    user: asked.map((c) => cases.user[c]!),
    historyOffsets,
    history: Int32Array.from(history),
    target: asked.map((c) => place[cases.target[c]!]!),
  };
}
