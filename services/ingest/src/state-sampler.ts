/**
 * Verifies a few random states of the published version every now and then, beside the running ingest:
 * `rec_state_mismatch_total` must stay 0. A wrong state is deleted, so that the next touch rebuilds it.
 *
 * A round costs a few short reads and some folds, one at a time, with the event loop free between them.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Database } from '@nestrec/database';
import type { Logger, MetricsRegistry } from '@nestrec/runtime';
import { getPublishedVectors, sampleStates } from '@nestrec/storage';
import type { ModelCache, SteppingModel } from './model-source.js';
import { examineState, isFault, readEvidence, repairState } from './state-verification.js';

export interface StateSamplerDeps {
  readonly db: Database;
  readonly models: ModelCache;
  readonly metrics: MetricsRegistry;
  readonly logger: Logger;
  readonly hashUser: (userId: string) => string;
}

export interface StateSampler {
  /** Verifies one sample; returns how many states were compared. */
  round(): Promise<number>;
  /** Begins to do so every `intervalMs`; 0: never. */
  start(intervalMs: number): void;
  /** Ends, after the round that runs. Safe twice. */
  stop(): Promise<void>;
}

const MOST_STATES = 8;
/** Events folded in a round at most, unless one state alone needs more. */
const MOST_EVENTS = 512;

export function createStateSampler(deps: StateSamplerDeps): StateSampler {
  const { db, models, logger } = deps;
  const verified = deps.metrics.counter(
    'rec_states_verified_total',
    'User states compared with a refold of their events.',
  );
  const mismatch = deps.metrics.counter(
    'rec_state_mismatch_total',
    'User states found to differ from their events; must be 0.',
  );
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<unknown> | null = null;
  let stopped = false;

  const round = async (): Promise<number> => {
    const published = await getPublishedVectors(db);
    // Ingest loads models as it needs them; a sample is no reason to.
    const model = published === null ? null : models.peek(published.version);
    if (model === null || model === undefined) return 0;
    const count = Math.min(MOST_STATES, Math.max(1, Math.floor(MOST_EVENTS / model.replayEvents)));
    const users = await sampleStates(db, model.version, count);
    let compared = 0;
    for (const userId of users) {
      if (stopped) break;
      compared += (await verify(model, userId)) ? 1 : 0;
      await nextTurn();
    }
    verified.inc(compared);
    return compared;
  };

  /** @returns whether there was something to compare */
  const verify = async (model: SteppingModel, userId: string): Promise<boolean> => {
    const [evidence] = await readEvidence(db, model, [userId]);
    const examined = examineState(model, evidence!);
    if (isFault(examined)) {
      mismatch.inc();
      const { detail } = examined;
      logger.error(
        { user: deps.hashUser(userId), modelVersion: model.version, detail },
        'a user state differs from its events: it is deleted, the next touch rebuilds it; verify all with nestrec states verify --all',
      );
      await repairState(db, model, userId);
    }
    return examined.state !== null || examined.finding === 'unreadable';
  };

  const tick = () => {
    running ??= round()
      .catch((error: unknown) => logger.debug({ err: error }, 'states not verified'))
      .finally(() => (running = null));
  };

  return {
    round,
    start: (intervalMs) => {
      if (intervalMs <= 0 || timer !== null) return;
      timer = setInterval(tick, intervalMs);
      timer.unref();
    },
    stop: async () => {
      stopped = true;
      if (timer !== null) clearInterval(timer);
      await running;
    },
  };
}
