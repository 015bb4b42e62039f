/** POST /v1/models/{version}/rollback: back from the version that serves to the one before it. */
import { publishAnswerSchema } from '@nestrec/contracts';
import { ModelNotFound, NoPublishedModel, PublishConflict, PublishRefused } from '@nestrec/errors';
import { defineRoute } from '../../http/route.js';
import { countSwap } from '../count-swap.js';
import { scopes, versionParams } from '../shared-schemas.js';

export const rollbackModel = defineRoute({
  method: 'post',
  path: '/v1/models/{version}/rollback',
  summary: 'Roll back from a model version',
  description:
    'version is the one to leave and must be the one that serves, so that a rollback sent twice goes back once.',
  access: scopes('admin'),
  params: versionParams,
  answers: { 200: { description: 'The previous version serves.', schema: publishAnswerSchema } },
  errors: [ModelNotFound, PublishConflict, PublishRefused, NoPublishedModel],
  async handler({ params }, { deps, metrics, client }) {
    const result = await countSwap(metrics, 'rolled_back', () =>
      deps.publisher.rollback(params.version),
    );
    deps.logger.info({ ...result, key_id: client.publicId }, 'a model version was rolled back');
    return { status: 200, body: result };
  },
});
