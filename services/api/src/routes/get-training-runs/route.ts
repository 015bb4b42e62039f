/** GET /v1/training-runs: the newest training runs, whoever asked for them. */
import { trainingRunsAnswerSchema } from '@nestrec/contracts';
import { z } from 'zod';
import { defineRoute } from '../../http/route.js';
import { presentTrainingRun } from '../present-training-run.js';
import { scopes } from '../shared-schemas.js';

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 100;

export const getTrainingRuns = defineRoute({
  method: 'get',
  path: '/v1/training-runs',
  summary: 'List training runs',
  access: scopes('admin'),
  query: z.strictObject({
    limit: z.number().int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT),
  }),
  answers: { 200: { description: 'Newest first.', schema: trainingRunsAnswerSchema } },
  errors: [],
  async handler({ query }, { deps }) {
    const runs = await deps.trainingRuns.list(query.limit);
    return { status: 200, body: { runs: runs.map(presentTrainingRun) } };
  },
});
