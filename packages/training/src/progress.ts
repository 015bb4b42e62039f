/**
 * What a training run tells its caller while it runs: one event per step and one per epoch. The caller
 * draws the bar and writes the log; this file only measures.
 */
import type { EpochRecord } from '@nestrec/contracts';
import type { Clock } from '@nestrec/runtime';

export interface StepProgress {
  readonly kind: 'step';
  /** Counted from 1. */
  readonly epoch: number;
  readonly maxEpochs: number;
  /** Steps done, over all epochs. */
  readonly step: number;
  /** Steps when no early stop happens. */
  readonly totalSteps: number;
  /** Loss of this step (weighted mean over sizes of the mean cross-entropy, in nats). */
  readonly loss: number;
  readonly learningRate: number;
  /** Over the last seconds, evaluation and checkpoints excluded. */
  readonly usersPerSecond: number;
  /** Threads that share a step. */
  readonly workers: number;
  /** Until the last epoch at the present speed, evaluations included as measured so far. */
  readonly etaSeconds: number;
}

export interface EpochProgress {
  readonly kind: 'epoch';
  readonly record: EpochRecord;
  /** Whether this epoch's parameters are the best so far. */
  readonly best: boolean;
}

export interface NoteProgress {
  readonly kind: 'note';
  readonly text: string;
}

export type TrainingProgress = StepProgress | EpochProgress | NoteProgress;

/** How much the newest step counts in the running speed. */
const NEWEST = 0.1;

/** Measures users per second and the time left. */
export function createSpeedometer(clock: Clock, totalSteps: number) {
  let usersPerMs = 0;
  let msPerStep = 0;
  let asideMs = 0;
  let asideSteps = 0;
  const blend = (old: number, value: number) =>
    old === 0 ? value : old * (1 - NEWEST) + value * NEWEST;
  return {
    /** One step of `users` users took from `startedMs` until now. */
    step(startedMs: number, users: number): void {
      const ms = Math.max(0.01, clock.now() - startedMs);
      usersPerMs = blend(usersPerMs, users / ms);
      msPerStep = blend(msPerStep, ms);
      asideSteps++;
    },
    /** Time spent on evaluation and checkpoints, spread over the steps done so far. */
    aside(ms: number): void {
      asideMs += ms;
    },
    usersPerSecond: () => usersPerMs * 1_000,
    etaSeconds(stepsDone: number): number {
      const each = msPerStep + asideMs / Math.max(1, asideSteps);
      return (Math.max(0, totalSteps - stepsDone) * each) / 1_000;
    },
  };
}
