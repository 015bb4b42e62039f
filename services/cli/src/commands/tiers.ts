/** `nestrec tiers list|set|remove|recommend`: what the keys of clients entitle them to. */
import { InvalidArgumentError, type Command } from 'commander';
import {
  overloadPolicySchema,
  tierListSchema,
  tierPlanSchema,
  tierRequestSchema,
  tierSchema,
  type Tier,
  type TierRequest,
} from '@nestrec/contracts';
import { excerpt, TierNotFound, UsageError } from '@nestrec/errors';
import { ensureDefaultTiers, listTiers, removeTier, upsertTier } from '@nestrec/storage';
import { z } from 'zod';
import { defineAction, type Invocation } from '../command-context.js';
import { renderTable } from '../output.js';
import { directOrRemote } from '../running-server.js';
import type { CliConfig } from '../settings.js';
import { addRecommend } from './tiers-recommend.js';

const PATH = '/v1/admin/tiers';
const noContent = z.strictObject({});

export function addTiers(program: Command, invocation: Invocation): void {
  const group = program.command('tiers').description('what the keys of clients entitle them to');
  addList(group, invocation);
  addSet(group, invocation);
  addRemove(group, invocation);
  addRecommend(group, invocation);
}

const show = (value: number | null) => (value === null ? 'none' : String(value));

function renderTiers(tiers: readonly Tier[]): string {
  return renderTable(
    ['tier', 'max dim', 'exit', 'max k', 'requests/s', 'burst', 'at once', 'plan', 'overload'],
    tiers.map((tier) => [
      tier.name,
      tier.max_dim === null ? 'all' : String(tier.max_dim),
      tier.exit_blocks === null ? 'none' : `after ${tier.exit_blocks}`,
      String(tier.max_k),
      show(tier.requests_per_second),
      show(tier.burst ?? tier.requests_per_second),
      show(tier.max_concurrency),
      tier.plan,
      tier.overload,
    ]),
  );
}

function fetchTiers(config: CliConfig): Promise<Tier[]> {
  return directOrRemote(
    config,
    async ({ db }) => {
      await ensureDefaultTiers(db);
      return listTiers(db);
    },
    async (ask) => (await ask('GET', PATH, tierListSchema)).tiers,
  );
}

function addList(group: Command, invocation: Invocation): void {
  const command = group
    .command('list')
    .description('all tiers with their limits')
    .addHelpText('after', '\nExample:\n  nestrec tiers list');
  defineAction(command, invocation, async ({ config, output }) => {
    const tiers = await fetchTiers(config);
    output.result({ tiers }, renderTiers(tiers));
  });
}

/** Options that were given; each has the name of its field. */
type SetOptions = Partial<{
  maxDim: number | null;
  exitBlocks: number | null;
  maxK: number;
  requestsPerSecond: number | null;
  burst: number | null;
  maxConcurrency: number | null;
  plan: Tier['plan'];
  overload: Tier['overload'];
  json: boolean;
}>;

function addSet(group: Command, invocation: Invocation): void {
  const command = group
    .command('set')
    .description('change a tier, or add one; what is not said stays, or has no limit in a new tier')
    .argument('<name>', 'name of the tier')
    .option('--max-dim <n|all>', 'greatest dimension', parseLimit)
    .option(
      '--exit-blocks <n|none>',
      'serve after so many blocks, where the model has that exit; none: at full depth',
      parseLimit,
    )
    .option('--max-k <n>', 'most items of a list', parseCount)
    .option('--requests-per-second <n|none>', 'sustained rate of one client', parseLimit)
    .option(
      '--burst <n|none>',
      'requests at once after a pause; none: those of one second',
      parseLimit,
    )
    .option('--max-concurrency <n|none>', 'requests of one client in flight at once', parseLimit)
    .option('--plan <plan>', tierPlanSchema.options.join(', '), parseChoice(tierPlanSchema))
    .option(
      '--overload <policy>',
      overloadPolicySchema.options.join(' or '),
      parseChoice(overloadPolicySchema),
    )
    .addHelpText(
      'after',
      '\nExample:\n  nestrec tiers set partner --max-dim 32 --max-k 20 --requests-per-second 200 --burst 400',
    );
  defineAction<SetOptions>(command, invocation, async ({ config, output }, [name], options) => {
    const known = (await fetchTiers(config)).find((tier) => tier.name === name);
    const tier = merge(name!, known, options);
    await directOrRemote(
      config,
      async ({ db }) => void (await upsertTier(db, tier)),
      async (ask) => void (await ask('PUT', `${PATH}/${name}`, tierSchema, limitsOf(tier))),
    );
    output.result(tier, renderTiers([tier]));
  });
}

const DEFAULT_MAX_K = 20;

/** A tier without its name, as requests have it. */
const limitsOf = (tier: Tier): TierRequest =>
  Object.fromEntries(Object.entries(tier).filter(([field]) => field !== 'name')) as TierRequest;

/** @throws UsageError where the options do not make a tier */
function merge(name: string, known: Tier | undefined, options: SetOptions): Tier {
  const fresh: TierRequest = { max_dim: null, max_k: DEFAULT_MAX_K, requests_per_second: null };
  const before = known === undefined ? fresh : limitsOf(known);
  const given = Object.entries({
    max_dim: options.maxDim,
    exit_blocks: options.exitBlocks,
    max_k: options.maxK,
    requests_per_second: options.requestsPerSecond,
    burst: options.burst,
    max_concurrency: options.maxConcurrency,
    plan: options.plan,
    overload: options.overload,
  }).filter(([, value]) => value !== undefined);
  const limits = tierRequestSchema.safeParse({ ...before, ...Object.fromEntries(given) });
  const named = tierSchema.shape.name.safeParse(name);
  const issue = limits.error?.issues[0] ?? named.error?.issues[0];
  if (!limits.success || !named.success) {
    const field = issue?.path.join('.') ?? '';
    throw new UsageError({
      detail: `${field === '' ? 'name' : field}: ${issue?.message ?? ''}; see nestrec tiers set --help.`,
    });
  }
  return { name: named.data, ...limits.data };
}

function addRemove(group: Command, invocation: Invocation): void {
  const command = group
    .command('remove')
    .description('remove a tier that no working key has')
    .argument('<name>', 'name of the tier')
    .addHelpText('after', '\nExample:\n  nestrec tiers remove partner');
  defineAction(command, invocation, async ({ config, output }, [name]) => {
    await directOrRemote(
      config,
      async ({ db }) => {
        if (await removeTier(db, name!)) return;
        throw new TierNotFound({ detail: `got ${excerpt(name)}; nestrec tiers list shows them.` });
      },
      async (ask) => {
        await ask('DELETE', `${PATH}/${encodeURIComponent(name!)}`, noContent);
      },
    );
    output.result({ removed: name }, `The tier ${name} is removed.`);
  });
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('wanted a whole number from 1.');
}

function parseLimit(text: string): number | null {
  return text === 'none' || text === 'all' ? null : parseCount(text);
}

function parseChoice<T>(schema: z.ZodType<T>): (text: string) => T {
  return (text) => {
    const parsed = schema.safeParse(text);
    if (!parsed.success) throw new InvalidArgumentError('see --help for what there is.');
    return parsed.data;
  };
}
