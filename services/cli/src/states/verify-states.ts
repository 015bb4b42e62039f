/**
 * Proves that stored states are what the model says of the stored events, in two ways: the recurrent state
 * against a refold of the events (@nestrec/ingest), and the query vector read out of it at every nested
 * size against the batch forward pass that training uses (TensorFlow.js, many users at once).
 *
 * Users are read page by page, each page from one snapshot, so memory does not grow with their number and
 * an ingest that works meanwhile raises no false alarm. The backend has to be chosen before.
 */
import type { Database } from '@nestrec/database';
import { packHistories } from '@nestrec/dataset';
import {
  examineState,
  isFault,
  readEvidence,
  repairState,
  steppingModel,
  type ExaminedState,
  type StateFinding,
  type SteppingModel,
} from '@nestrec/ingest';
import { createForwardPass, type ForwardPass } from '@nestrec/model';
import type { Artifact } from '@nestrec/registry';
import { nextUsers, sampleUsers } from '@nestrec/storage';
import { vectorDifference } from '@nestrec/streaming';

/**
 * Greatest difference of a query vector, relative to its greatest coordinate. Both sides sum in their own
 * order, the batch in float32: 1e-6 to 1e-5 for widths to 1024; the 1e-5 that edits may leave in h comes
 * on top. An event that is missing or misplaced shows by orders of magnitude more, unless it is so old
 * that neither side remembers it.
 */
export const QUERY_TOLERANCE = 1e-4;

const SHOWN_FAULTS = 20;
const MOST_USERS_PER_PAGE = 500;
const EVENTS_PER_PAGE = 8_192;

export interface VerifyStatesOptions {
  /** How many users; null: all. */
  readonly sample: number | null;
  readonly seed: number;
  /** Deletes wrong states, so that the next touch rebuilds them. */
  readonly repair: boolean;
  readonly hashUser: (userId: string) => string;
  readonly onProgress?: (users: number) => void;
}

export interface StateFault {
  /** Hash of the user's id. */
  readonly user: string;
  readonly finding: StateFinding;
  readonly detail: string;
}

export interface StatesReport {
  readonly modelVersion: string;
  readonly users: number;
  /** Users by what was found; `different` and `unreadable` are faults. */
  readonly findings: Readonly<Record<StateFinding, number>>;
  readonly mismatches: number;
  readonly repaired: number;
  /** The first of them. */
  readonly faults: readonly StateFault[];
  /** Greatest relative differences; the user's hash is null where nothing was compared. */
  readonly worstState: { readonly error: number; readonly user: string | null };
  readonly worstQuery: readonly {
    readonly dim: number;
    readonly error: number;
    readonly user: string | null;
  }[];
  readonly passed: boolean;
}

type Worst = { error: number; user: string | null };

export async function verifyStates(
  db: Database,
  artifact: Artifact,
  options: VerifyStatesOptions,
): Promise<StatesReport> {
  const model = steppingModel(artifact);
  const forward = createForwardPass(artifact.manifest.config, artifact.parameters);
  const tally = createTally(model, options.hashUser);
  const size = Math.floor(EVENTS_PER_PAGE / model.replayEvents);
  const perPage = Math.min(MOST_USERS_PER_PAGE, Math.max(1, size));
  try {
    for await (const page of pages(db, options, perPage)) {
      const evidence = await readEvidence(db, model, page);
      const judged = judgeQueries(
        model,
        forward,
        evidence.map((one) => examineState(model, one)),
      );
      for (const one of judged) {
        tally.add(one);
        if (!options.repair || !isFault(one.examined)) continue;
        const wrong = (now: ExaminedState) =>
          isFault(judgeQueries(model, forward, [now])[0]!.examined);
        if (await repairState(db, model, one.examined.userId, wrong)) tally.repaired();
      }
      options.onProgress?.(tally.users());
    }
  } finally {
    forward.dispose();
  }
  return tally.report();
}

async function* pages(
  db: Database,
  { sample, seed }: VerifyStatesOptions,
  perPage: number,
): AsyncGenerator<string[]> {
  if (sample !== null) {
    const users = await sampleUsers(db, sample, seed);
    for (let at = 0; at < users.length; at += perPage) yield users.slice(at, at + perPage);
    return;
  }
  let after = '';
  for (;;) {
    const users = await nextUsers(db, after, perPage);
    if (users.length > 0) yield users;
    if (users.length < perPage) return;
    after = users.at(-1)!;
  }
}

interface Judged {
  readonly examined: ExaminedState;
  /** Relative difference of the query vector at each size; empty where it was not compared. */
  readonly queries: readonly number[];
}

/** Reads query vectors out of the states and compares them with the batch's; a difference is a fault. */
function judgeQueries(
  model: SteppingModel,
  forward: ForwardPass,
  examined: readonly ExaminedState[],
): Judged[] {
  const compared = examined.filter((one) => one.state !== null);
  if (compared.length === 0) return examined.map((one) => ({ examined: one, queries: [] }));
  const { cell } = model;
  const wanted = forward.queries(...batchOf(compared, cell.dim));
  const placeOf = new Map(compared.map((one, place) => [one, place]));
  return examined.map((one) => {
    const place = placeOf.get(one);
    if (place === undefined) return { examined: one, queries: [] };
    const from = place * cell.dim;
    const queries = cell.sizes.map((dim) =>
      vectorDifference(cell.query(one.state!, dim), wanted.subarray(from, from + dim)),
    );
    const wrong = queries.findIndex((error) => error > QUERY_TOLERANCE);
    if (wrong < 0 || isFault(one)) return { examined: one, queries };
    const detail = `the query vector at ${cell.sizes[wrong]} differs from the batch model's by ${queries[wrong]!.toExponential(1)}, tolerated is ${QUERY_TOLERANCE}`;
    return { examined: { ...one, finding: 'different', detail }, queries };
  });
}

/** The distinct item vectors of these users' events, and the events by their rows. */
function batchOf(
  users: readonly ExaminedState[],
  dim: number,
): [Float32Array, ReturnType<typeof packHistories>] {
  const rowOf = new Map<Float32Array, number>();
  const offsets = new Int32Array(users.length + 1);
  const events: number[] = [];
  users.forEach(({ history }, user) => {
    for (const vector of history) {
      if (!rowOf.has(vector)) rowOf.set(vector, rowOf.size + 1);
      events.push(rowOf.get(vector)!);
    }
    offsets[user + 1] = events.length;
  });
  const items = new Float32Array(rowOf.size * dim);
  for (const [vector, row] of rowOf) items.set(vector, (row - 1) * dim);
  const maxLength = Math.max(1, ...users.map(({ history }) => history.length));
  return [items, packHistories({ offsets, items: Int32Array.from(events) }, { maxLength })];
}

function createTally(model: SteppingModel, hashUser: (userId: string) => string) {
  const findings: Record<StateFinding, number> = {
    ...{ same: 0, different: 0, unreadable: 0, absent: 0 },
    ...{ other_version: 0, vectors_replaced: 0, unknown_items: 0 },
  };
  const faults: StateFault[] = [];
  const worstState: Worst = { error: 0, user: null };
  const worstQuery = model.cell.sizes.map((): Worst => ({ error: 0, user: null }));
  let [users, mismatches, repaired] = [0, 0, 0];
  const raise = (worst: Worst, error: number, userId: string) => {
    if (worst.user !== null && error <= worst.error) return;
    Object.assign(worst, { error, user: hashUser(userId) });
  };
  return {
    users: () => users,
    repaired: () => void (repaired += 1),
    add: ({ examined, queries }: Judged) => {
      const { userId, finding, detail, error } = examined;
      users += 1;
      findings[finding] += 1;
      if (error !== null) raise(worstState, error, userId);
      queries.forEach((difference, s) => raise(worstQuery[s]!, difference, userId));
      if (!isFault(examined)) return;
      mismatches += 1;
      if (faults.length < SHOWN_FAULTS) {
        faults.push({ user: hashUser(userId), finding, detail: detail ?? '' });
      }
    },
    report: (): StatesReport => ({
      ...{ modelVersion: model.version, users, findings, mismatches, repaired, faults },
      worstState,
      worstQuery: worstQuery.map((worst, s) => ({ dim: model.cell.sizes[s]!, ...worst })),
      passed: mismatches === 0,
    }),
  };
}
