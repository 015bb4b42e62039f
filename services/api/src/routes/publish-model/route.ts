/** POST /v1/models/{version}/publish: begins to make a version answer, after publishing's own checks. */
import { publishRunAnswerSchema } from '@nestrec/contracts';
import { ModelNotFound } from '@nestrec/errors';
import { z } from 'zod';
import { defineRoute } from '../../http/route.js';
import { presentPublishRun } from '../present-model.js';
import { scopes, versionParams } from '../shared-schemas.js';

export const publishModel = defineRoute({
  method: 'post',
  path: '/v1/models/{version}/publish',
  summary: 'Publish a model version',
  description:
    'Begins it and answers at once: embedding and indexing all items may take minutes. Location names where to look how it ends: refused where the quality gate refuses it, with the reasons tier by tier. Sent again while it runs, it begins nothing.',
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
  answers: {
    202: {
      description: 'It runs; GET /v1/models/{version} says how it ends.',
      schema: publishRunAnswerSchema,
    },
  },
  errors: [ModelNotFound],
  async handler({ params, query }, { deps, client }) {
    const force = query.force ? `${client.client} (key ${client.publicId})` : null;
    const run = await deps.publisher.publish(params.version, force);
    deps.logger.info(
      { version: params.version, force, key_id: client.publicId },
      'asked to publish a model version',
    );
    return {
      status: 202,
      body: presentPublishRun(run),
      headers: { Location: `/v1/models/${params.version}` },
    };
  },
});
