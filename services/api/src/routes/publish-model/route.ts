/** POST /v1/models/{version}/publish: begins to make a version answer, after publishing's own checks. */
import { publishRunAnswerSchema } from '@nestrec/contracts';
import { ModelNotFound } from '@nestrec/errors';
import { defineRoute } from '../../http/route.js';
import { presentPublishRun } from '../present-model.js';
import { scopes, versionParams } from '../shared-schemas.js';

export const publishModel = defineRoute({
  method: 'post',
  path: '/v1/models/{version}/publish',
  summary: 'Publish a model version',
  description:
    'Begins it and answers at once: embedding and indexing all items may take minutes. Location names where to look how it stands. Sent again while it runs, it begins nothing.',
  access: scopes('admin'),
  params: versionParams,
  answers: {
    202: {
      description: 'It runs; GET /v1/models/{version} says how it ends.',
      schema: publishRunAnswerSchema,
    },
  },
  errors: [ModelNotFound],
  async handler({ params }, { deps, client }) {
    const run = await deps.publisher.publish(params.version);
    deps.logger.info(
      { version: params.version, key_id: client.publicId },
      'asked to publish a model version',
    );
    return {
      status: 202,
      body: presentPublishRun(run),
      headers: { Location: `/v1/models/${params.version}` },
    };
  },
});
