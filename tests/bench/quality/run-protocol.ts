/** One protocol of the benchmark: split, train, rank, rows (whole and by day of purchase). */
import type { EpochRecord, ModelConfig, QualityRow } from '@nestrec/contracts';
import { splitLeaveOneOut, splitTemporal, type Split } from '@nestrec/dataset';
import { byDay } from '@nestrec/evaluation';
import {
  createSettings,
  createTrainedModel,
  fitBaselines,
  hashArrays,
  modelSwitches,
  previousTimes,
  qualityRows,
  rankPart,
  trainModel,
  type TrainingProgress,
  type TrainingSettings,
} from '@nestrec/training';
import type { QualityArguments } from './arguments.js';
import type { QualityData } from './beauty.js';

/** Validation and test are the newest tenth each: Beauty's last months. */
const TEMPORAL_CUTS = { validationFraction: 0.1, testFraction: 0.1 };

export interface ProtocolResult {
  readonly protocol: Split['protocol'];
  readonly split: {
    readonly trainEvents: number;
    readonly validation: number;
    readonly test: number;
  };
  readonly settings: TrainingSettings;
  readonly config: ModelConfig;
  readonly epochs: readonly EpochRecord[];
  readonly bestEpoch: number;
  readonly bestPrimary: number;
  readonly lambdaMax: number;
  readonly trainSeconds: number;
  readonly reportSeconds: number;
  readonly weightsSha256: string;
  readonly rows: readonly QualityRow[];
  readonly sameDay: readonly QualityRow[];
  readonly later: readonly QualityRow[];
}

export async function runProtocol(
  args: QualityArguments,
  data: QualityData,
  protocol: 'leave-one-out' | 'temporal',
  onProgress: (progress: TrainingProgress) => void,
): Promise<ProtocolResult> {
  const { dataset } = data;
  const split =
    protocol === 'leave-one-out'
      ? splitLeaveOneOut(dataset)
      : splitTemporal(dataset, TEMPORAL_CUTS);
  const config: ModelConfig = {
    sizes: args.sizes,
    blocks: args.blocks,
    exits: args.exits,
    featureWidth: data.featureWidth,
    numItems: dataset.itemIds.length,
    useBias: true,
    ...modelSwitches(args.preset),
  };
  const settings = createSettings(args.preset, args.sizes, args.overrides);
  const checkpoint = args.checkpoint
    ? { path: args.checkpoint, everyMs: 60_000, other: 'refuse' as const }
    : undefined;
  const result = await trainModel({
    ...{ config, settings, split, features: data.features, seed: args.seed },
    ...{ checkpoint, onProgress },
  });
  const reportStarted = performance.now();
  const model = createTrainedModel(config, result.parameters, data.features);
  const rows: QualityRow[] = [];
  const sameDay: QualityRow[] = [];
  const later: QualityRow[] = [];
  const { maxLength } = settings;
  const input = { split, numItems: config.numItems, model, text: data.text, maxLength };
  const baselines = fitBaselines(input);
  for (const part of args.parts) {
    const ranks = rankPart(input, part, baselines);
    rows.push(...qualityRows(ranks, split, part));
    const cases = split.cases(part);
    const previous = previousTimes(dataset, cases);
    if (previous === null) continue;
    for (const { name, cases: group } of byDay(cases.times!, previous))
      (name === 'same-day' ? sameDay : later).push(...qualityRows(ranks, split, part, group));
  }
  model.dispose();
  return {
    ...{ protocol, settings, config, rows, sameDay, later },
    split: {
      trainEvents: split.report.trainEvents,
      validation: split.report.validationCases,
      test: split.report.testCases,
    },
    ...{ epochs: result.epochs, bestEpoch: result.bestEpoch, bestPrimary: result.bestPrimary },
    lambdaMax: result.lambdaMax,
    trainSeconds: result.seconds,
    reportSeconds: (performance.now() - reportStarted) / 1_000,
    weightsSha256: hashArrays(result.parameters),
  };
}
