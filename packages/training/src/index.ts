/** The training recipe, checkpoints and the quality report. */
export {
  checkSettings,
  createSettings,
  modelSwitches,
  PRESET_NAMES,
  trainingSettingsSchema,
  warmStartSettings,
  type ModelSwitches,
  type PresetName,
  type TrainingSettings,
} from './settings.js';
export { trainModel, type TrainingResult, type TrainModelInput } from './train-model.js';
export type { CheckpointOptions } from './run-epochs.js';
export { trainSasrec, type TrainedSasrec, type TrainSasrecInput } from './sasrec/train-sasrec.js';
export { sasrecScorer } from './sasrec/sasrec-scorer.js';
export { createSasrecSettings, type SasrecSettings } from './sasrec/settings.js';
export { fitLikeness } from './cold-items/fit-likeness.js';
export {
  learnColdItems,
  type LearnColdItemsInput,
  type LearnedColdItems,
} from './cold-items/learn-cold-items.js';
export type { FillChoice } from './cold-items/choose-fill.js';
export {
  leanRareItems,
  type LeanChoice,
  type LeanedItems,
  type LeanRareItemsInput,
} from './cold-items/lean-rare-items.js';
export { createTrainedModel, type TrainedModel } from './trained-model.js';
export {
  fitBaselines,
  qualityRows,
  rankPart,
  reportQuality,
  reportWithRanks,
  type QualityReport,
  type ReportInput,
  type ScorerRanks,
} from './report.js';
export { previousTimes } from './evaluation-report/previous-times.js';
export {
  measureReport,
  type MeasuredReport,
  type MeasureReportInput,
  type OtherTraining,
} from './evaluation-report/measure-report.js';
export { rankAmongServed, type ServedModel } from './rank-among-served.js';
export {
  summariseEvaluation,
  type PublishedRanks,
  type SummaryInput,
} from './evaluation-summary.js';
export { removeCheckpoint } from './checkpoint.js';
export { hashArrays } from './hash-bytes.js';
export { transferParameters, type WarmStart } from './warm-start.js';
export { describeTraining } from './steps/describe-training.js';
export { PRIMARY_METRIC } from './early-stopping.js';
export type { EpochProgress, NoteProgress, StepProgress, TrainingProgress } from './progress.js';
