/** Trains, evaluates and registers model versions. */
export { measureCandidate } from './candidate-evaluation.js';
export { runEvaluation, type EvaluationRun } from './evaluation-run.js';
export { readTrainingData, type TrainingData, type TrainingDataOptions } from './training-data.js';
export { runTraining, type TrainingRunOptions } from './training-run.js';
