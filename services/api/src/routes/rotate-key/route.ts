/** POST /v1/admin/clients/{id}/rotate: a new key for a client; the present one ends after an overlap. */
import { rotatedKeySchema, rotationSchema } from '@nestrec/contracts';
import { ClientNotFound, InternalError, TooManyKeys } from '@nestrec/errors';
import { defineRoute } from '../../http/route.js';
import { presentKey } from '../present-key.js';
import { idParams, scopes } from '../shared-schemas.js';

const SECOND_MS = 1_000;

export const rotateKey = defineRoute({
  method: 'post',
  path: '/v1/admin/clients/{id}/rotate',
  summary: 'Rotate the key of a client',
  description:
    'Makes a key of the same tier and scopes; both work until the overlap is over (default: one day).',
  access: scopes('admin'),
  params: idParams,
  body: rotationSchema,
  answers: { 201: { description: 'The new key, shown this once.', schema: rotatedKeySchema } },
  errors: [ClientNotFound, TooManyKeys],
  async handler({ params, body }, { deps, forgetKey, client }) {
    const overlapMs = body.overlap_seconds * SECOND_MS;
    const { key, publicId, replaced } = await deps.keys.rotate({ client: params.id, overlapMs });
    forgetKey(replaced);
    const keys = await deps.keys.list();
    const made = keys.find((one) => one.publicId === publicId);
    const old = keys.find((one) => one.publicId === replaced);
    if (made === undefined || old?.expiresAtMs == null) {
      throw new InternalError({ cause: new Error('a rotated key is absent') });
    }
    deps.logger.info(
      { made: publicId, replaced, key_id: client.publicId },
      'an API key was rotated',
    );
    return {
      status: 201,
      body: {
        key,
        ...presentKey(made),
        replaces: replaced,
        replaced_expires_at: new Date(old.expiresAtMs).toISOString(),
      },
    };
  },
});
