/** POST /v1/models/{version}/publish: makes a version answer, after publishing's own checks. */
import { publishAnswerSchema } from '@nestrec/contracts';
import { InvalidArtifact, ModelNotFound, PublishRefused } from '@nestrec/errors';
import { defineRoute } from '../../http/route.js';
import { countSwap } from '../count-swap.js';
import { scopes, versionParams } from '../shared-schemas.js';

export const publishModel = defineRoute({
  method: 'post',
  path: '/v1/models/{version}/publish',
  summary: 'Publish a model version',
  description:
    'Answers once the version serves; embedding and indexing all items may take minutes.',
  access: scopes('admin'),
  params: versionParams,
  answers: { 200: { description: 'The version serves.', schema: publishAnswerSchema } },
  errors: [ModelNotFound, PublishRefused, InvalidArtifact],
  async handler({ params }, { deps, metrics, client }) {
    const result = await countSwap(metrics, 'published', () =>
      deps.publisher.publish(params.version),
    );
    deps.logger.info({ ...result, key_id: client.publicId }, 'a model version was published');
    return { status: 200, body: result };
  },
});
