/** GET /v1/training-runs/{id}: how far a training is, or how it ended. */
import { trainingRunAnswerSchema } from '@nestrec/contracts';
import { TrainingRunNotFound } from '@nestrec/errors';
import { defineRoute } from '../../http/route.js';
import { presentTrainingRun } from '../present-training-run.js';
import { scopes, trainingRunParams } from '../shared-schemas.js';

export const getTrainingRun = defineRoute({
  method: 'get',
  path: '/v1/training-runs/{id}',
  summary: 'Look up a training run',
  access: scopes('admin'),
  params: trainingRunParams,
  answers: { 200: { description: 'The run.', schema: trainingRunAnswerSchema } },
  errors: [TrainingRunNotFound],
  async handler({ params }, { deps }) {
    const run = await deps.trainingRuns.find(BigInt(params.id));
    if (run === null) {
      throw new TrainingRunNotFound({ detail: 'GET /v1/training-runs lists the runs.' });
    }
    return { status: 200, body: presentTrainingRun(run) };
  },
});
