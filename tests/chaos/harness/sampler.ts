/**
 * A reader beside the run: looks at the counts and positions again and again while faults happen. What it
 * sees has to be a state that some prefix of the log explains: never less than before, never more than was
 * sent, never events without their states.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '@nestrec/database';

export interface Sample {
  readonly atMs: number;
  readonly events: number;
  /** Events that all states together count. */
  readonly inStates: number;
  readonly next: ReadonlyMap<number, bigint>;
}

export interface Sampler {
  readonly samples: readonly Sample[];
  latest(): Sample | null;
  /** Ends it; says what it saw that must not be. */
  stop(): Promise<{ readonly wentBack: number; readonly torn: number; readonly most: number }>;
}

interface SampleRow extends Record<string, unknown> {
  events: bigint;
  in_states: bigint;
  positions: { partition: number; next: string }[] | null;
}

/** One statement is one snapshot: what it sees was true at one moment. */
const SAMPLE = `
  SELECT (SELECT count(*) FROM interactions) AS events,
         (SELECT coalesce(sum(events_in_state + unknown_events), 0)::int8 FROM user_states) AS in_states,
         (SELECT json_agg(json_build_object('partition', partition, 'next', next_offset::text))
          FROM consumer_positions) AS positions`;

export async function sampleOnce(db: Database): Promise<Sample> {
  const atMs = Date.now();
  const { rows } = await db.query<SampleRow>(SAMPLE);
  const { events, in_states, positions } = rows[0]!;
  const next = (positions ?? []).map((p) => [p.partition, BigInt(p.next)] as const);
  return { atMs, events: Number(events), inStates: Number(in_states), next: new Map(next) };
}

/**
 * @param exact whether states count every event (no state of the workload is ever rebuilt from a part of
 *   its history), so that events without their states show
 */
export function startSampler(
  db: Database,
  options: { readonly intervalMs: number; readonly exact: boolean },
): Sampler {
  const samples: Sample[] = [];
  let wentBack = 0;
  let torn = 0;
  let most = 0;
  let running = true;
  const look = async () => {
    const sample = await sampleOnce(db);
    const before = samples.at(-1);
    const back = [...sample.next].some(([p, next]) => next < (before?.next.get(p) ?? 0n));
    if (before !== undefined && (sample.events < before.events || back)) wentBack += 1;
    if (options.exact ? sample.events !== sample.inStates : sample.events < sample.inStates) {
      torn += 1;
    }
    most = Math.max(most, sample.events);
    samples.push(sample);
  };
  const loop = (async () => {
    while (running) {
      // A database that is down is a fault of the run, not of the reader.
      await look().catch(() => undefined);
      await sleep(options.intervalMs);
    }
  })();
  return {
    samples,
    latest: () => samples.at(-1) ?? null,
    stop: async () => {
      running = false;
      await loop;
      return { wentBack, torn, most };
    },
  };
}

export interface LogPlace {
  readonly partition: number;
  readonly offset: bigint;
  readonly appendedAtMs: number;
}

/**
 * How long each record took from the log into the database, at most, by the samples: the first sample
 * that shows its partition beyond it. Infinity for one that never was.
 */
export function lateness(samples: readonly Sample[], places: readonly LogPlace[]): number[] {
  const byPartition = new Map<number, { atMs: number; next: bigint }[]>();
  for (const { atMs, next } of samples) {
    for (const [partition, value] of next) {
      const list = byPartition.get(partition) ?? [];
      if (list.length === 0 || list.at(-1)!.next < value) list.push({ atMs, next: value });
      byPartition.set(partition, list);
    }
  }
  return places.map(({ partition, offset, appendedAtMs }) => {
    const steps = byPartition.get(partition) ?? [];
    let low = 0;
    let high = steps.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (steps[middle]!.next > offset) high = middle;
      else low = middle + 1;
    }
    return low === steps.length ? Infinity : Math.max(0, steps[low]!.atMs - appendedAtMs);
  });
}
