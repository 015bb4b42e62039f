/**
 * Is a size of the ladder as good as a model trained alone at that size? For every seed the ladder and, by the same
 * recipe, a ladder of each wanted size alone are trained; both are asked the same test cases.
 *
 * The share is the ratio of mean NDCG@10 over users and seeds; its interval draws users, the same for both sides. What
 * other seeds would give is not in it: the shares of the single seeds stand beside it.
 */
import { join } from 'node:path';
import { gainOfRank, resampleByGroup, type MeanInterval } from '@nestrec/evaluation';
import { createRandom } from '@nestrec/random';
import {
  createSettings,
  createTrainedModel,
  rankPart,
  type TrainingProgress,
  type TrainingSettings,
} from '@nestrec/training';
import type { Split } from '@nestrec/dataset';
import { UsageError } from '@nestrec/errors';
import type { QualityArguments } from './arguments.js';
import type { QualityData } from './beauty.js';
import { configOf, keptAt, splitOf, trainAsSaved } from './run-protocol.js';
import { figure } from './table.js';

export type AloneArguments = Pick<
  QualityArguments,
  'sizes' | 'blocks' | 'preset' | 'overrides' | 'modelOverrides' | 'alone' | 'seeds'
> & { readonly out: string };

export interface AloneRow {
  readonly size: number;
  readonly seenMasked: boolean;
  /** Mean over the seeds. */
  readonly ladder: MeanInterval;
  readonly alone: MeanInterval;
  /** Ladder over alone; null where alone has no hit in some resample. */
  readonly share: MeanInterval | null;
  /** By seed, in the order of the seeds. */
  readonly shareBySeed: readonly number[];
}

export interface AloneResult {
  readonly protocol: Split['protocol'];
  readonly sizes: readonly number[];
  readonly seeds: readonly number[];
  readonly cases: number;
  readonly rows: readonly AloneRow[];
}

const PER_SIZE = [
  ...['dropout', 'blockDropout', 'residualDropout', 'segmentRates', 'prefixShares'],
] as const;
const CUTOFF = 10;

/** The recipe of the ladder for one of its sizes alone: what is given by size is that size's. */
export function settingsAlone(
  { preset, sizes, overrides }: Pick<AloneArguments, 'preset' | 'sizes' | 'overrides'>,
  size: number,
): TrainingSettings {
  const own: Partial<TrainingSettings> = { ...overrides };
  delete own.lossWeights;
  for (const name of PER_SIZE) {
    const given = overrides[name];
    if (given !== undefined) own[name] = [given[sizes.indexOf(size)]!];
  }
  return createSettings(preset, [size], own);
}

/** NDCG@10 of every test case, with seen items masked and not. */
interface Gains {
  readonly masked: Float64Array;
  readonly all: Float64Array;
}
type GainsBySize = ReadonlyMap<number, Gains>;

export async function runAlone(
  args: AloneArguments,
  data: QualityData,
  protocol: Split['protocol'],
  onProgress: (progress: TrainingProgress) => void,
): Promise<AloneResult> {
  const strange = args.alone.find((size) => !args.sizes.includes(size));
  if (strange !== undefined) {
    throw new UsageError({
      detail: `--alone has ${strange}, which is no size of the ladder (${args.sizes.join(', ')})`,
    });
  }
  const split = splitOf(data, protocol);
  const gains = (sizes: readonly number[], settings: TrainingSettings, seed: number) =>
    trainedGains({ args, data, split, sizes, settings, seed, onProgress });
  const ladders: GainsBySize[] = [];
  const alone: GainsBySize[] = [];
  for (const seed of args.seeds) {
    const whole = createSettings(args.preset, args.sizes, args.overrides);
    ladders.push(await gains(args.sizes, whole, seed));
    const single = new Map<number, Gains>();
    for (const size of args.alone)
      for (const entry of await gains([size], settingsAlone(args, size), seed))
        single.set(...entry);
    alone.push(single);
  }
  const { user } = split.cases('test');
  const rows = [true, false].flatMap((seenMasked) =>
    args.alone.map((size): AloneRow => {
      const of = (side: readonly GainsBySize[]) =>
        side.map((bySize) => bySize.get(size)![seenMasked ? 'masked' : 'all']);
      return { size, seenMasked, ...compare(of(ladders), of(alone), user) };
    }),
  );
  return { protocol, sizes: args.sizes, seeds: args.seeds, cases: user.length, rows };
}

interface Training {
  readonly args: AloneArguments;
  readonly data: QualityData;
  readonly split: Split;
  readonly sizes: readonly number[];
  readonly settings: TrainingSettings;
  readonly seed: number;
  readonly onProgress: (progress: TrainingProgress) => void;
}

/** Trains, or takes what is kept; a training that was killed goes on. */
async function trainedGains(training: Training): Promise<GainsBySize> {
  const { args, data, split, sizes, settings, seed, onProgress } = training;
  const name = `ladder-${sizes.join('-')}-seed-${seed}-${split.protocol}.safetensors`;
  onProgress({ kind: 'note', text: `sizes ${sizes.join(', ')}, seed ${seed}: ${name}` });
  const config = configOf(args, data, sizes);
  const { parameters } = await trainAsSaved(
    {
      ...{ config, settings, split, features: data.features, seed, onProgress },
      checkpoint: keptAt(join(args.out, name)),
    },
    data.spec,
  );
  const model = createTrainedModel(config, parameters, data.features);
  const { maxLength } = settings;
  const input = { split, numItems: config.numItems, model, text: null, maxLength };
  const ranks = rankPart(input, 'test', []);
  model.dispose();
  const gainsOf = (column: Int32Array) =>
    Float64Array.from(column, (rank) => gainOfRank(rank, CUTOFF));
  return new Map(
    ranks.map(({ dim, masked, all }) => [dim!, { masked: gainsOf(masked), all: gainsOf(all) }]),
  );
}

/** @param ladders gains of each case, by seed */
export function compare(
  ladders: readonly Float64Array[],
  alone: readonly Float64Array[],
  user: Int32Array,
): Omit<AloneRow, 'size' | 'seenMasked'> {
  const draws = createRandom(1).fork('alone');
  const resamples = resampleByGroup([overSeeds(ladders), overSeeds(alone)], user, {
    uniform: () => draws.uniform(),
  });
  return {
    ladder: resamples.estimate(0),
    alone: resamples.estimate(1),
    share: resamples.ratio(0, 1),
    shareBySeed: ladders.map((gains, s) => total(gains) / total(alone[s]!)),
  };
}

const total = (gains: Float64Array) => gains.reduce((sum, gain) => sum + gain, 0);

/** Mean over the seeds of each case. */
function overSeeds(gains: readonly Float64Array[]): Float64Array {
  return gains[0]!.map((_, c) => gains.reduce((sum, of) => sum + of[c]!, 0) / gains.length);
}

export function aloneMarkdown({ protocol, sizes, seeds, cases, rows }: AloneResult): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const line = ({ size, seenMasked, ladder, alone, share, shareBySeed }: AloneRow) => [
    size,
    seenMasked ? 'masked' : 'ranked',
    figure(ladder.mean),
    figure(alone.mean),
    share === null
      ? '-'
      : `**${percent(share.mean)}** (${percent(share.low)} to ${percent(share.high)})`,
    shareBySeed.map(percent).join(', '),
  ];
  return [
    `### ${protocol}: sizes of one ladder beside models trained alone`,
    `Ladder ${sizes.join(', ')}; seeds ${seeds.join(', ')}; ${cases} test cases, whole catalogue.`,
    [
      '| size | seen items | NDCG@10 in the ladder | alone | share (95 % by user) | by seed |',
      '|---|---|---|---|---|---|',
      ...rows.map((row) => `| ${line(row).join(' | ')} |`),
    ].join('\n'),
  ].join('\n\n');
}
