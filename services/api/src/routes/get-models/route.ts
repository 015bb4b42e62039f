/** GET /v1/models: the model versions, and which one answers. */
import { modelsAnswerSchema } from '@nestrec/contracts';
import { defineRoute } from '../../http/route.js';
import { presentModel } from '../present-model.js';
import { ANY_KEY } from '../shared-schemas.js';

export const getModels = defineRoute({
  method: 'get',
  path: '/v1/models',
  summary: 'Model versions',
  description:
    'publish: the newest attempt to publish it, with the verdict of the quality gate per tier, the reasons where it was refused, and who forced it.',
  access: ANY_KEY,
  answers: { 200: { description: 'All versions, newest first.', schema: modelsAnswerSchema } },
  errors: [],
  async handler(_input, { deps }) {
    const [models, published, previous, reports] = await Promise.all([
      deps.models.list(),
      deps.models.published(),
      deps.models.previous(),
      deps.models.reports(),
    ]);
    return {
      status: 200,
      body: {
        published: published?.version ?? null,
        previous,
        models: models.map((model) => presentModel(model, reports.get(model.version) ?? null)),
      },
    };
  },
});
