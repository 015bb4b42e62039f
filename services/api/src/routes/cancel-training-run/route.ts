/** DELETE /v1/training-runs/{id}: calls a training off. Its record stays. */
import { trainingRunAnswerSchema } from '@nestrec/contracts';
import { TrainingRunNotFound } from '@nestrec/errors';
import { defineRoute } from '../../http/route.js';
import { presentTrainingRun } from '../present-training-run.js';
import { scopes, trainingRunParams } from '../shared-schemas.js';

export const cancelTrainingRun = defineRoute({
  method: 'delete',
  path: '/v1/training-runs/{id}',
  summary: 'Call a training off',
  description:
    'One that waits is cancelled at once; one under way within seconds, with its checkpoint kept and nothing published. One that is over stays as it is.',
  access: scopes('admin'),
  params: trainingRunParams,
  answers: { 200: { description: 'The run after it.', schema: trainingRunAnswerSchema } },
  errors: [TrainingRunNotFound],
  async handler({ params }, { deps, client }) {
    const run = await deps.trainingRuns.cancel(BigInt(params.id));
    if (run === null) {
      throw new TrainingRunNotFound({ detail: 'GET /v1/training-runs lists the runs.' });
    }
    deps.logger.info({ run: params.id, key_id: client.publicId }, 'a training was called off');
    return { status: 200, body: presentTrainingRun(run) };
  },
});
