/** Shows a training run: a line per stage and per epoch, one bar over all steps. */
import type { TrainingProgress } from '@nestrec/training';
import type { Output, Progress } from './output.js';

export function showTraining(output: Output): {
  onStage: (stage: string) => void;
  onProgress: (progress: TrainingProgress) => void;
} {
  let bar: Progress | null = null;
  let lastLoss = Number.NaN;
  const onProgress = (progress: TrainingProgress) => {
    if (progress.kind === 'step') {
      bar ??= output.progress('Training', progress.totalSteps);
      lastLoss = progress.loss;
      bar.update(
        progress.step,
        `epoch ${progress.epoch}/${progress.maxEpochs}, loss ${lastLoss.toFixed(3)}, ` +
          `${Math.round(progress.usersPerSecond)} users/s${onWorkers(progress.workers)}, ${duration(progress.etaSeconds)} left`,
      );
    } else if (progress.kind === 'epoch') {
      const { record, best } = progress;
      output.note(
        `epoch ${record.epoch}: loss ${record.loss.toFixed(4)}, ` +
          `mean NDCG@10 ${record.primary === null ? '-' : record.primary.toFixed(4)}${best ? ' (best)' : ''}, ` +
          `max|lambda| ${record.lambdaMax.toFixed(3)}`,
      );
    } else {
      output.note(progress.text);
    }
  };
  const onStage = (stage: string) => {
    // Whatever comes next, the steps are over.
    bar?.stop();
    bar = null;
    output.note(`${stage} ...`);
  };
  return { onStage, onProgress };
}

const onWorkers = (workers: number) => (workers === 1 ? '' : ` on ${workers} workers`);

function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
