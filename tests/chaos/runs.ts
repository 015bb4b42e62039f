/** The runs of `npm run test:chaos`, in order, with their pass numbers (reliability.md, sections 1A and 1C). */
import { killIngest } from './a1-kills.js';
import type { Build, ChaosContext, Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';

export interface ChaosRun {
  readonly id: string;
  readonly title: string;
  /** The pass number, in words. */
  readonly pass: string;
  /** What is broken on purpose in the twin. */
  readonly twin: string;
  /** What the twin has to show at least; absent: one failure is enough. */
  readonly twinShows?: (verdict: Verdict) => boolean;
  /** Whether it guards every merge. */
  readonly ci: boolean;
  execute(context: ChaosContext, ground: Ground, build: Build): Promise<Verdict>;
}

export const RUNS: readonly ChaosRun[] = [
  {
    ...{ id: 'A1', title: 'ingest killed while it applies', ci: true, execute: killIngest },
    pass: '0 lost, 0 doubled, 0 wrong states of 100,000; 20 kills in at most 6 min',
    twin: 'a consumer that steps states, then commits the offset to Kafka',
    twinShows: ({ measures }) => Number(measures['doubled']) >= 1,
  },
];
