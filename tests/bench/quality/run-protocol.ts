/** One protocol of the benchmark: split, train, rank, rows (whole and by day of purchase). */
import { join } from 'node:path';
import type { FeatureSpec, ModelConfig, QualityRow } from '@nestrec/contracts';
import { splitLeaveOneOut, splitTemporal, type Split } from '@nestrec/dataset';
import { byDay } from '@nestrec/evaluation';
import {
  createSasrecSettings,
  createSettings,
  createTrainedModel,
  fitBaselines,
  hashArrays,
  leanRareItems,
  modelSwitches,
  previousTimes,
  qualityRows,
  rankPart,
  sasrecScorer,
  trainModel,
  trainSasrec,
  type LeanChoice,
  type SasrecSettings,
  type TrainedSasrec,
  type TrainModelInput,
  type TrainingProgress,
  type TrainingResult,
  type TrainingSettings,
} from '@nestrec/training';
import type { QualityArguments } from './arguments.js';
import type { QualityData } from './beauty.js';

/** Validation and test are the newest tenth each: Beauty's last months. */
const TEMPORAL_CUTS = { validationFraction: 0.1, testFraction: 0.1 };

/** How often a training that is kept is saved between two ends of epochs. */
const SAVE_EVERY_MS = 60_000;

type Protocol = Split['protocol'];
type OnProgress = (progress: TrainingProgress) => void;

export interface ProtocolResult {
  readonly protocol: Protocol;
  readonly split: {
    readonly trainEvents: number;
    readonly validation: number;
    readonly test: number;
  };
  /** The nested model; null where only baselines were wanted. */
  readonly model: ModelTraining | null;
  readonly sasrec: readonly SasrecTraining[];
  readonly reportSeconds: number;
  readonly rows: readonly QualityRow[];
  readonly sameDay: readonly QualityRow[];
  readonly later: readonly QualityRow[];
}

export interface ModelTraining extends Omit<TrainingResult, 'parameters'> {
  readonly settings: TrainingSettings;
  readonly config: ModelConfig;
  readonly weightsSha256: string;
  /** How rare items lean; undefined where none may. */
  readonly lean: LeanChoice | undefined;
}

export interface SasrecTraining extends Omit<TrainedSasrec, 'parameters' | 'config'> {
  readonly settings: SasrecSettings;
}

export function splitOf({ dataset }: Pick<QualityData, 'dataset'>, protocol: Protocol): Split {
  return protocol === 'leave-one-out'
    ? splitLeaveOneOut(dataset)
    : splitTemporal(dataset, TEMPORAL_CUTS);
}

/** A model of `sizes` for the data, as the preset wants it. */
export function configOf(
  {
    blocks,
    preset,
    modelOverrides,
  }: Pick<QualityArguments, 'blocks' | 'preset' | 'modelOverrides'>,
  data: Pick<QualityData, 'dataset' | 'featureWidth'>,
  sizes: readonly number[],
): ModelConfig {
  return {
    ...{ sizes: [...sizes], blocks, featureWidth: data.featureWidth, useBias: true },
    numItems: data.dataset.itemIds.length,
    ...{ ...modelSwitches(preset), ...modelOverrides },
  };
}

/** Where a training is kept. */
export const keptAt = (path: string) => ({
  ...{ path, everyMs: SAVE_EVERY_MS, other: 'refuse' as const },
});

export async function runProtocol(
  args: QualityArguments,
  data: QualityData,
  protocol: Protocol,
  onProgress: OnProgress,
): Promise<ProtocolResult> {
  const { dataset } = data;
  const split = splitOf(data, protocol);
  const numItems = dataset.itemIds.length;
  const ladder = args.onlyBaselines ? null : await trainLadder(args, data, split, onProgress);
  const sasrecs = await trainSasrecs(args, split, numItems, onProgress);
  const reportStarted = performance.now();
  const rows: QualityRow[] = [];
  const sameDay: QualityRow[] = [];
  const later: QualityRow[] = [];
  const { maxLength } = createSettings(args.preset, args.sizes, args.overrides);
  const model =
    ladder && createTrainedModel(ladder.training.config, ladder.parameters, data.features);
  const input = { split, numItems, model, text: data.text, maxLength };
  const baselines = fitBaselines(input);
  const trained = sasrecs.map(sasrecScorer);
  for (const part of args.parts) {
    const ranks = rankPart(input, part, baselines, trained);
    rows.push(...qualityRows(ranks, split, part));
    const cases = split.cases(part);
    const previous = previousTimes(dataset, cases);
    if (previous === null) continue;
    for (const { name, cases: group } of byDay(cases.times!, previous))
      (name === 'same-day' ? sameDay : later).push(...qualityRows(ranks, split, part, group));
  }
  model?.dispose();
  return {
    ...{ protocol, rows, sameDay, later },
    split: {
      trainEvents: split.report.trainEvents,
      validation: split.report.validationCases,
      test: split.report.testCases,
    },
    model: ladder && ladder.training,
    sasrec: sasrecs.map(({ parameters: _parameters, config: _config, ...training }) => training),
    reportSeconds: (performance.now() - reportStarted) / 1_000,
  };
}

async function trainLadder(
  args: QualityArguments,
  data: QualityData,
  split: Split,
  onProgress: OnProgress,
) {
  const config = { ...configOf(args, data, args.sizes), exits: args.exits };
  const settings = createSettings(args.preset, args.sizes, args.overrides);
  const checkpoint = args.checkpoint ? keptAt(args.checkpoint) : undefined;
  const { parameters, ...result } = await trainAsSaved(
    {
      ...{ config, settings, split, features: data.features, seed: args.seed },
      ...{ checkpoint, onProgress },
    },
    data.spec,
  );
  const weightsSha256 = hashArrays(parameters);
  const training: ModelTraining = { ...result, settings, config, weightsSha256 };
  return { parameters, training };
}

/** A training up to the parameters that an artifact would hold. */
export async function trainAsSaved(
  input: TrainModelInput,
  spec: FeatureSpec,
): Promise<TrainingResult & { readonly lean: LeanChoice | undefined }> {
  const trained = await trainModel(input);
  const { parameters, choice: lean } = leanRareItems({ ...input, ...trained, spec });
  return { ...trained, parameters, lean };
}

async function trainSasrecs(
  { sasrec, sasrecOverrides, seed, out }: QualityArguments,
  split: Split,
  numItems: number,
  onProgress: OnProgress,
): Promise<(TrainedSasrec & SasrecTraining)[]> {
  const trained: (TrainedSasrec & SasrecTraining)[] = [];
  for (const width of sasrec) {
    onProgress({ kind: 'note', text: `training: SASRec ${width}` });
    const settings = createSasrecSettings(width, sasrecOverrides);
    const name = `sasrec-${width}-seed-${seed}-${split.protocol}.safetensors`;
    const checkpoint = out === null ? undefined : keptAt(join(out, name));
    const result = await trainSasrec({
      ...{ split, numItems, settings, seed, checkpoint, onProgress },
    });
    trained.push({ ...result, settings });
  }
  return trained;
}
