/** `nestrec keys rotate|set`: what concerns all keys of one client. */
import { InvalidArgumentError, type Command } from 'commander';
import { presentKey } from '@nestrec/api';
import {
  keysAnswerSchema,
  rotatedKeySchema,
  type ClientChange,
  type RotatedKey,
  type Scope,
} from '@nestrec/contracts';
import type { Database } from '@nestrec/database';
import { UsageError } from '@nestrec/errors';
import { changeClient, listApiKeys, rotateApiKey } from '@nestrec/storage';
import { defineAction, type Invocation } from '../command-context.js';
import { directOrRemote } from '../running-server.js';

const SECOND_MS = 1_000;
const MS_PER_UNIT: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };
const MAX_OVERLAP_MS = 30 * 24 * 3_600_000;

const pathOf = (client: string) => `/v1/admin/clients/${encodeURIComponent(client)}`;

export function addRotate(group: Command, invocation: Invocation): void {
  const command = group
    .command('rotate')
    .description('make a new key for a client; its present one ends after an overlap')
    .requiredOption('--client <name>', 'name of the client application')
    .option(
      '--overlap <duration>',
      'how long both keys work: 0s, 90m, 24h',
      parseOverlap,
      24 * 3_600_000,
    )
    .addHelpText('after', '\nExample:\n  nestrec keys rotate --client shop-web --overlap 24h');
  defineAction<{ client: string; overlap: number; json?: boolean }>(
    command,
    invocation,
    async ({ config, output }, _args, { client, overlap }) => {
      const rotated = await directOrRemote(
        config,
        ({ db }) => rotate(db, client, overlap),
        (ask) =>
          ask('POST', `${pathOf(client)}/rotate`, rotatedKeySchema, {
            overlap_seconds: overlap / SECOND_MS,
          }),
      );
      output.note(`The key ${rotated.replaces} ends at ${rotated.replaced_expires_at}.`);
      output.note('This key is shown once; keep it now:');
      output.result(rotated, rotated.key);
    },
  );
}

async function rotate(db: Database, client: string, overlapMs: number): Promise<RotatedKey> {
  const { key, publicId, replaced } = await rotateApiKey(db, { client, overlapMs });
  const keys = (await listApiKeys(db, client)).map(presentKey);
  const made = keys.find((one) => one.id === publicId)!;
  const old = keys.find((one) => one.id === replaced)!;
  return { key, ...made, replaces: replaced, replaced_expires_at: old.expires_at! };
}

interface SetOptions {
  client: string;
  tier?: string;
  scopes?: Scope[];
  json?: boolean;
}

export function addSet(
  group: Command,
  invocation: Invocation,
  parseScopes: (text: string) => Scope[],
): void {
  const command = group
    .command('set')
    .description(
      'change the tier or the scopes of a client; running servers follow within 2 seconds',
    )
    .requiredOption('--client <name>', 'name of the client application')
    .option('--tier <name>', 'its tier from now on')
    .option('--scopes <list>', 'its scopes from now on, comma separated', parseScopes)
    .addHelpText('after', '\nExample:\n  nestrec keys set --client shop-web --tier full');
  defineAction<SetOptions>(command, invocation, async ({ config, output }, _args, options) => {
    const { client, tier, scopes } = options;
    if (tier === undefined && scopes === undefined) {
      throw new UsageError({ detail: 'got neither --tier nor --scopes, wanted one of them.' });
    }
    const change: ClientChange = {
      ...(tier === undefined ? {} : { tier }),
      ...(scopes === undefined ? {} : { scopes }),
    };
    const keys = await directOrRemote(
      config,
      async ({ db }) =>
        (
          await changeClient(db, client, {
            ...(tier === undefined ? {} : { tier }),
            ...(scopes === undefined ? {} : { scopes }),
          })
        ).map(presentKey),
      async (ask) => (await ask('PUT', pathOf(client), keysAnswerSchema, change)).keys,
    );
    const texts = keys.map((key) => `${key.id}: ${key.tier}, ${key.scopes.join(' ')}`);
    output.result({ keys }, texts.join('\n'));
  });
}

function parseOverlap(text: string): number {
  const match = /^(\d{1,7})(s|m|h)$/.exec(text);
  const ms = match === null ? Number.NaN : Number(match[1]) * MS_PER_UNIT[match[2]!]!;
  if (!(ms <= MAX_OVERLAP_MS)) {
    throw new InvalidArgumentError('wanted a duration of at most 720h, such as 0s, 90m or 24h.');
  }
  return ms;
}
