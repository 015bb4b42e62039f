/** POST /v1/admin/keys: makes an API key. The answer is the only place where the key ever stands. */
import { keyCreatedSchema, keyRequestSchema } from '@nestrec/contracts';
import { InternalError, TooManyKeys } from '@nestrec/errors';
import { defineRoute } from '../../http/route.js';
import { invalidField, requireTier } from '../invalid-field.js';
import { presentKey } from '../present-key.js';
import { scopes } from '../shared-schemas.js';

export const postKey = defineRoute({
  method: 'post',
  path: '/v1/admin/keys',
  summary: 'Make an API key',
  description:
    'A client has at most two keys that work, of one tier: one to take over from the other (see rotate).',
  access: scopes('admin'),
  body: keyRequestSchema,
  answers: { 201: { description: 'The key, shown this once.', schema: keyCreatedSchema } },
  errors: [TooManyKeys],
  async handler({ body }, { deps, client }) {
    await requireTier(deps, body.tier);
    const expiresAtMs = body.expires_at === undefined ? undefined : Date.parse(body.expires_at);
    if (expiresAtMs !== undefined && expiresAtMs <= deps.clock.now()) {
      throw invalidField('expires_at', body.expires_at, 'a time to come');
    }
    const { key, publicId } = await deps.keys.create({
      client: body.client,
      tier: body.tier,
      scopes: [...new Set(body.scopes)],
      ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    });
    const stored = (await deps.keys.list()).find((one) => one.publicId === publicId);
    if (stored === undefined) throw new InternalError({ cause: new Error('a new key is absent') });
    deps.logger.info({ made: publicId, key_id: client.publicId }, 'an API key was made');
    return { status: 201, body: { key, ...presentKey(stored) } };
  },
});
