/**
 * What every run gets: a seeded stream of chance, a written schedule of faults, and a way to undo what it
 * started. And what it gives back: measures and the promises that were broken.
 */
import type { Random } from '@nestrec/random';

export type Build = 'product' | 'broken';

export interface ChaosOptions {
  readonly seed: number;
  /** Kills of A1; null: the run's own number. */
  readonly kills: number | null;
  /** Whether it is one of the short forms that guard every merge. */
  readonly ci: boolean;
  /** Divides the numbers of events and faults, to try a run out; 1 for the pass numbers. */
  readonly shrink: number;
}

export interface ChaosContext {
  readonly options: ChaosOptions;
  readonly random: Random;
  /** Writes a line of the fault schedule, with the seconds since the start. */
  note(text: string): void;
  /** Registers an undo; undone in reverse order at the end, whatever happens. */
  defer(undo: () => Promise<unknown> | void): void;
  /** The run's own number, or its share when the run is shrunk. */
  scaled(count: number): number;
}

export interface Verdict {
  /** What was measured, in the order of the table. */
  readonly measures: Readonly<Record<string, number | string>>;
  /** Promises that were broken, each with got and wanted. Empty: passed. */
  readonly failures: readonly string[];
}

export interface ManagedContext extends ChaosContext {
  /** The schedule so far. */
  schedule(): string;
  undo(): Promise<void>;
}

export function createContext(
  options: ChaosOptions,
  random: Random,
  write: (line: string) => void,
): ManagedContext {
  const startedAtMs = performance.now();
  const lines: string[] = [];
  const undos: (() => Promise<unknown> | void)[] = [];
  return {
    options,
    random,
    note: (text) => {
      const line = `${((performance.now() - startedAtMs) / 1_000).toFixed(1).padStart(7)} s  ${text}`;
      lines.push(line);
      write(line);
    },
    defer: (undo) => void undos.push(undo),
    scaled: (count) => Math.max(1, Math.ceil(count / options.shrink)),
    schedule: () => lines.join('\n'),
    undo: async () => {
      for (const undo of undos.splice(0).reverse()) {
        try {
          await undo();
        } catch (error) {
          write(`clean-up: ${(error as Error).message}`);
        }
      }
    },
  };
}

/** Collects broken promises in one place, so that a run says all of them. */
export function createJudge() {
  const failures: string[] = [];
  return {
    failures,
    /** Notes a failure where `got` is not `wanted`. */
    equal: (what: string, got: number | bigint, wanted: number | bigint) => {
      if (BigInt(got) !== BigInt(wanted)) failures.push(`${what}: got ${got}, wanted ${wanted}`);
    },
    atMost: (what: string, got: number, wanted: number) => {
      if (!(got <= wanted)) failures.push(`${what}: got ${got}, wanted at most ${wanted}`);
    },
    atLeast: (what: string, got: number, wanted: number) => {
      if (!(got >= wanted)) failures.push(`${what}: got ${got}, wanted at least ${wanted}`);
    },
    holds: (what: string, holds: boolean) => {
      if (!holds) failures.push(what);
    },
  };
}
