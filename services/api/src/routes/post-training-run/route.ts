/** POST /v1/training-runs: queues a training; a trainer works at it in its turn. */
import { trainingRunAnswerSchema, trainingRunRequestSchema } from '@nestrec/contracts';
import { defineRoute } from '../../http/route.js';
import { presentTrainingRun } from '../present-training-run.js';
import { scopes } from '../shared-schemas.js';

export const postTrainingRun = defineRoute({
  method: 'post',
  path: '/v1/training-runs',
  summary: 'Queue a training',
  description:
    'Runs are worked at one at a time, in order. What the options leave out is as in the published model. The candidate answers once it passes the checks, unless `publish` is false.',
  access: scopes('admin'),
  body: trainingRunRequestSchema,
  answers: {
    202: { description: 'It waits; Location says where to look.', schema: trainingRunAnswerSchema },
  },
  errors: [],
  async handler({ body }, { deps, client }) {
    const run = await deps.trainingRuns.request(body, `api:${client.client}`);
    deps.logger.info({ run: String(run.id), key_id: client.publicId }, 'a training was queued');
    return {
      status: 202,
      body: presentTrainingRun(run),
      headers: { Location: `/v1/training-runs/${run.id}` },
    };
  },
});
