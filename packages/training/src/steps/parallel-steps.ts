/**
 * Steps shared by W replicas: this thread is the first, each other one has a thread and a backend of its own.
 * What a step is made of is in `replica.ts`; here it is dealt out and waited for.
 *
 * For backends that keep to one core (wasm, cpu): two instances reach almost twice the speed, and each needs only
 * its share of the items in its memory (decision 0013).
 */
import { InternalError } from '@nestrec/errors';
import { ITEM_RESIDUAL } from '@nestrec/parameters';
import { activeBackend } from '@nestrec/tensor';
import { splitBatch } from './batch-parts.js';
import { rankWithModel } from '../model-ranks.js';
import { answer, type ReplicaCall } from './replica-calls.js';
import { createReplica, gradientNumbers, type Replica, type ResidualPart } from './replica.js';
import { startReplica, type ReplicaThread } from './replica-threads.js';
import { createSharedMemory, ownItems, withItems, type SharedMemory } from './shared-memory.js';
import type { StepsInput, TrainingSteps } from './training-steps.js';

/** All replicas, and the memory between them. */
interface Team {
  readonly first: Replica;
  readonly threads: readonly ReplicaThread[];
  readonly shared: SharedMemory;
}

/**
 * @param replicas at least 2, at most one per item.
 * @throws TrainingThreadFailed here or at any step, when a thread does not do its part.
 */
export async function createParallelSteps(
  input: StepsInput,
  replicas: number,
): Promise<TrainingSteps> {
  const team = await assemble(input, replicas);
  const { config } = input;
  const width = config.sizes.at(-1)!;

  /** The own rows of all replicas, one after the other. */
  const residual = async (what: ResidualPart) => {
    await all(team, { do: 'residual', what });
    const data = team.shared.items.slice(0, config.numItems * width);
    return { shape: [config.numItems, width], data };
  };

  return {
    replicas,
    async step(batch, index) {
      const parts = splitBatch(batch, replicas);
      await all(team, (rank) => ({ do: 'items', part: parts[rank]!, index }));
      const losses = await all(team, { do: 'gradients' });
      await all(team, { do: 'sums' });
      const [gradientNorm] = await all(team, { do: 'update' });
      const loss = parts.reduce((sum, { share }, rank) => sum + share * Number(losses[rank]), 0);
      return { loss, gradientNorm: Number(gradientNorm) };
    },
    async rank(cases, seen, blocks) {
      await all(team, { do: 'table' });
      const { model, parameters } = team.first;
      const itemTable = () => model.parts.tableOf(team.shared.items);
      const whole = { ...model, config, itemTable };
      return rankWithModel(whole, parameters, cases, seen, input.settings.maxLength, blocks);
    },
    async exportParameters() {
      await requireEqual(team);
      const { model, parameters } = team.first;
      const exported = new Map(model.exportParameters(parameters));
      if (exported.has(ITEM_RESIDUAL)) exported.set(ITEM_RESIDUAL, await residual('value'));
      return exported;
    },
    async exportOptimizer() {
      const state = new Map(team.first.optimizer.state());
      for (const what of ['m', 'v'] as const) {
        const key = `${ITEM_RESIDUAL}/${what}`;
        if (state.has(key)) state.set(key, await residual(what));
      }
      return state;
    },
    dispose: () => dissolve(team),
  };
}

async function assemble(input: StepsInput, replicas: number): Promise<Team> {
  const { config } = input;
  const width = config.sizes.at(-1)!;
  const inputs = Array.from({ length: replicas }, (_, rank) => {
    const own = ownItems(config.numItems, rank, replicas);
    const { featureWidth } = config;
    return {
      ...input,
      ...{ rank, own, itemsInAll: config.numItems },
      config: { ...config, numItems: own.count },
      features: input.features.slice(
        own.first * featureWidth,
        (own.first + own.count) * featureWidth,
      ),
      parameters: withItems(input.parameters, own),
      optimizer: withItems(input.optimizer, own),
    };
  });
  const [firstInput, ...otherInputs] = inputs as [(typeof inputs)[0], ...typeof inputs];
  const shared = createSharedMemory(
    replicas,
    (config.numItems + 1) * width,
    gradientNumbers(firstInput.config, firstInput.parameters),
  );
  const backend = activeBackend();
  const threads = otherInputs.map((one) => startReplica({ backend, input: one, shared }));
  let first: Replica | null = null;
  try {
    first = createReplica(firstInput, shared);
    await Promise.all(threads.map(({ ready }) => ready));
    return { first, threads, shared };
  } catch (error) {
    await dissolve({ first, threads });
    throw error;
  }
}

/** Asks every replica at once; this thread does its own part meanwhile. Answers by rank. */
async function all(
  { first, threads }: Team,
  call: ReplicaCall | ((rank: number) => ReplicaCall),
): Promise<(number | string | null)[]> {
  const callOf = typeof call === 'function' ? call : () => call;
  const others = threads.map((thread, i) => thread.call(callOf(i + 1)));
  const own = answer(first, callOf(0));
  return [own, ...(await Promise.all(others))];
}

/** Replicas that have drifted apart would train a model that no replica has. */
async function requireEqual(team: Team): Promise<void> {
  const digests = await all(team, { do: 'digest' });
  if (digests.every((digest) => digest === digests[0])) return;
  throw new InternalError({
    detail: `the parameters of the ${digests.length} replicas differ (${digests.map((d) => String(d).slice(0, 8)).join(', ')}); train with NESTREC_TRAIN_WORKERS=1`,
  });
}

async function dissolve({
  first,
  threads,
}: Pick<Team, 'threads'> & { readonly first: Replica | null }): Promise<void> {
  await Promise.all(threads.map((thread) => thread.end()));
  first?.dispose();
}
