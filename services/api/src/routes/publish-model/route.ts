/** POST /v1/models/{version}/publish: makes a version answer, after publishing's own checks. */
import { publishAnswerSchema } from '@nestrec/contracts';
import { InvalidArtifact, ModelNotFound, PublishRefused } from '@nestrec/errors';
import { z } from 'zod';
import { defineRoute } from '../../http/route.js';
import { countSwap } from '../count-swap.js';
import { scopes, versionParams } from '../shared-schemas.js';

export const publishModel = defineRoute({
  method: 'post',
  path: '/v1/models/{version}/publish',
  summary: 'Publish a model version',
  description:
    'Answers once the version serves; embedding and indexing all items may take minutes. 409 where the quality gate refuses it: the detail says why, tier by tier, and so does GET /v1/models.',
  access: scopes('admin'),
  params: versionParams,
  query: z.strictObject({
    force: z
      .boolean()
      .default(false)
      .describe(
        'Publish it although it is older than the published version, or the quality gate refuses it. Who forced it stays on record.',
      ),
  }),
  answers: { 200: { description: 'The version serves.', schema: publishAnswerSchema } },
  errors: [ModelNotFound, PublishRefused, InvalidArtifact],
  async handler({ params, query }, { deps, metrics, client }) {
    const force = query.force ? `${client.client} (key ${client.publicId})` : null;
    const result = await countSwap(metrics, 'published', () =>
      deps.publisher.publish(params.version, force),
    );
    deps.logger.info({ ...result, key_id: client.publicId }, 'a model version was published');
    return { status: 200, body: result };
  },
});
