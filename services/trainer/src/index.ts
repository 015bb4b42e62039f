/** Trains, evaluates and registers model versions. */
export { runEvaluation, type EvaluationRun } from './evaluation-run.js';
export {
  DEFAULT_SIZES,
  planTraining,
  type TrainingPlan,
  type TrainingRequest,
} from './plan-training.js';
export { readTrainingData, type TrainingData, type TrainingDataOptions } from './training-data.js';
export { runTraining, type TrainingRunOptions } from './training-run.js';
export { DEFAULT_MAX_EVENTS_PER_USER, type TrainingWindow } from './training-window.js';
export { DEFAULT_NICE, lowerPriority, workersBesideServing } from './beside-serving.js';
