/**
 * What a training process is told, and what it says: plain values, since they go from process to process.
 * The parent holds the run; the child trains and publishes.
 */
import type { TrainingMode, TrainingOptions } from '@nestrec/contracts';
import type { ShortlistForm } from '@nestrec/publishing';

/** Where a trainer keeps things and what it may use. */
export interface JobSettings {
  /** Null: the embedded database, reached through the parent. */
  readonly databaseUrl: string | null;
  readonly allowUnsafeDurability: boolean;
  readonly modelsDir: string;
  readonly checkpointsDir: string;
  /** Folder of the measurements of backends. */
  readonly cacheDir: string;
  readonly backend: string | null;
  /** Null: as fits the machine and who serves on it. */
  readonly trainWorkers: number | null;
  readonly trainNice: number;
  readonly eventsInMemory: number;
  /** Versions besides the published one whose vectors a publish leaves. */
  readonly keepVersions: number;
  /** What its shortlists are made by. */
  readonly shortlistForm: ShortlistForm;
  readonly logLevel: string;
}

export interface JobRun {
  readonly id: bigint;
  readonly fence: number;
  readonly mode: TrainingMode;
  readonly publish: boolean;
  readonly options: TrainingOptions;
  readonly version: string;
  /** Whether a killed run began this version; what stands of it is taken. */
  readonly continues: boolean;
}

export interface TrainingJob {
  readonly run: JobRun;
  readonly settings: JobSettings;
}

export interface JobProgress {
  readonly stage: string;
  /** Of the stage, 0 to 1; null where nobody can tell. */
  readonly share: number | null;
  /** A line for people. */
  readonly note?: string;
}

/** How it ended. */
export type JobResult =
  | { readonly kind: 'published'; readonly version: string; readonly previous: string | null }
  | { readonly kind: 'trained'; readonly version: string }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'lease_lost' }
  | { readonly kind: 'interrupted' }
  /** The process was killed: out of memory, most often. */
  | { readonly kind: 'died'; readonly reason: string }
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly reason: string;
      /** Whether time cures it: the database was away, another published. */
      readonly retryable: boolean;
    };

export type ChildMessage =
  | { readonly progress: JobProgress }
  | { readonly result: JobResult }
  | { readonly database: unknown };

export type ParentMessage =
  { readonly job: TrainingJob } | { readonly stop: true } | { readonly database: unknown };
