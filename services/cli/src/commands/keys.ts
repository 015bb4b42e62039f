/** `nestrec keys create|list|rotate|set|revoke`: the API keys of client applications. */
import { InvalidArgumentError, type Command } from 'commander';
import { presentKey } from '@nestrec/api';
import {
  keyCreatedSchema,
  keysAnswerSchema,
  scopeSchema,
  type KeyCreated,
  type KeyRequest,
  type Scope,
} from '@nestrec/contracts';
import type { Database } from '@nestrec/database';
import { InvalidParameter } from '@nestrec/errors';
import { createApiKey, ensureDefaultTiers, listApiKeys, revokeApiKey } from '@nestrec/storage';
import { z } from 'zod';
import { defineAction, type Invocation } from '../command-context.js';
import { renderTable } from '../output.js';
import { directOrRemote } from '../running-server.js';
import { addRotate, addSet } from './client-keys.js';

/** What `ask` gives for an answer without a body. */
const noContent = z.strictObject({});

export function addKeys(program: Command, invocation: Invocation): void {
  const group = program.command('keys').description('API keys of client applications');
  addCreate(group, invocation);
  addList(group, invocation);
  addRotate(group, invocation);
  addSet(group, invocation, parseScopes);
  addRevoke(group, invocation);
}

interface CreateOptions {
  client: string;
  tier: string;
  scopes: Scope[];
  expiresAt?: string;
  json?: boolean;
}

function addCreate(group: Command, invocation: Invocation): void {
  const command = group
    .command('create')
    .description('make a key; it is shown once, only its hash is stored')
    .requiredOption('--client <name>', 'name of the client application')
    .option('--tier <name>', 'tier of the client, as `nestrec tiers list` shows them', 'standard')
    .option(
      '--scopes <list>',
      `comma separated, of ${scopeSchema.options.join(', ')}`,
      parseScopes,
      ['recommend', 'events:write'] as Scope[],
    )
    .option('--expires-at <time>', 'RFC 3339 with a zone; default: never', parseTime)
    .addHelpText(
      'after',
      '\nExample:\n  nestrec keys create --client shop-web --tier standard --scopes recommend,events:write',
    );
  defineAction<CreateOptions>(command, invocation, async ({ config, output }, _args, options) => {
    const request: KeyRequest = {
      client: options.client,
      tier: options.tier,
      scopes: options.scopes,
      ...(options.expiresAt === undefined ? {} : { expires_at: options.expiresAt }),
    };
    const created = await directOrRemote(
      config,
      ({ db }) => createKey(db, request),
      (ask) => ask('POST', '/v1/admin/keys', keyCreatedSchema, request),
    );
    output.note('This key is shown once; keep it now:');
    output.result(created, created.key);
  });
}

/** Makes a key in the database and describes it as the API would. */
export async function createKey(db: Database, request: KeyRequest): Promise<KeyCreated> {
  await ensureDefaultTiers(db);
  const { key, publicId } = await createApiKey(db, {
    client: request.client,
    tier: request.tier,
    scopes: request.scopes,
    ...(request.expires_at === undefined ? {} : { expiresAtMs: Date.parse(request.expires_at) }),
  });
  const stored = (await listApiKeys(db)).find((one) => one.publicId === publicId)!;
  return { key, ...presentKey(stored) };
}

function addList(group: Command, invocation: Invocation): void {
  const command = group
    .command('list')
    .description('all keys, revoked ones included')
    .addHelpText('after', '\nExample:\n  nestrec keys list --json');
  defineAction(command, invocation, async ({ config, output }) => {
    const { keys } = await directOrRemote(
      config,
      async ({ db }) => ({ keys: (await listApiKeys(db)).map(presentKey) }),
      (ask) => ask('GET', '/v1/admin/keys', keysAnswerSchema),
    );
    const rows = keys.map((key) => [
      key.id,
      key.client,
      key.tier,
      key.scopes.join(' '),
      key.created_at,
      key.revoked_at !== null ? 'revoked' : (key.expires_at ?? 'never'),
      key.last_used_at ?? 'never',
    ]);
    output.result(
      { keys },
      renderTable(['id', 'client', 'tier', 'scopes', 'created', 'expires', 'last used'], rows),
    );
  });
}

function addRevoke(group: Command, invocation: Invocation): void {
  const command = group
    .command('revoke')
    .description('end a key; running servers refuse it within 2 seconds')
    .argument('<id>', 'public id of the key, as `nestrec keys list` shows it')
    .addHelpText('after', '\nExample:\n  nestrec keys revoke 3fK0aZ81Qx');
  defineAction(command, invocation, async ({ config, output }, [id]) => {
    const revoked = await directOrRemote(
      config,
      async ({ db }) => {
        if (!(await revokeApiKey(db, id!))) {
          throw new InvalidParameter({
            detail: 'there is no key with this id; see nestrec keys list.',
          });
        }
        return presentKey((await listApiKeys(db)).find((one) => one.publicId === id)!);
      },
      async (ask) => {
        await ask('DELETE', `/v1/admin/keys/${encodeURIComponent(id!)}`, noContent);
        const { keys } = await ask('GET', '/v1/admin/keys', keysAnswerSchema);
        return keys.find((key) => key.id === id)!;
      },
    );
    output.result(revoked, `Key ${revoked.id} of ${revoked.client} is revoked.`);
  });
}

function parseScopes(text: string): Scope[] {
  const scopes = text.split(',').map((scope) => scopeSchema.safeParse(scope.trim()));
  if (scopes.some((scope) => !scope.success)) {
    throw new InvalidArgumentError(`wanted a list of ${scopeSchema.options.join(', ')}.`);
  }
  return scopes.map((scope) => scope.data!);
}

function parseTime(text: string): string {
  if (!/T.*(Z|[+-]\d\d:\d\d)$/.test(text) || Number.isNaN(Date.parse(text))) {
    throw new InvalidArgumentError('wanted a time such as 2027-01-31T00:00:00Z.');
  }
  return text;
}
