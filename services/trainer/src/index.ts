/** Trains, evaluates, registers and publishes model versions; as a service, by a cron. */
export { measureCandidate } from './candidate-evaluation.js';
export { runEvaluation, type EvaluationRun } from './evaluation-run.js';
export { runEvaluationReport, type ReportRunOptions } from './report-run.js';
export {
  DEFAULT_SIZES,
  planTraining,
  type TrainingPlan,
  type TrainingRequest,
} from './plan-training.js';
export { readTrainingData, type TrainingData, type TrainingDataOptions } from './training-data.js';
export { runTraining, type TrainingRunOptions } from './training-run.js';
export {
  dataDirSetting,
  retrainSettings,
  trainerConfig,
  trainingSettings,
  type TrainerConfig,
} from './config.js';
export { gitCommit } from './git-commit.js';
export { startJobProcess, type JobProcess, type StartJob } from './job-process.js';
export { jobSettings } from './job-settings.js';
export type { JobProgress, JobResult, JobSettings, TrainingJob } from './job.js';
export { runTrainer, type RunningTrainer } from './run.js';
export { createTrainer, type Trainer } from './trainer.js';
export { createTrainerMetrics } from './trainer-metrics.js';
export {
  createTrainingWorker,
  LEASE_TIMES,
  type TrainingWorker,
  type Worked,
} from './training-worker.js';
export { DEFAULT_MAX_EVENTS_PER_USER, type TrainingWindow } from './training-window.js';
export { DEFAULT_NICE, lowerPriority, workersBesideServing } from './beside-serving.js';
