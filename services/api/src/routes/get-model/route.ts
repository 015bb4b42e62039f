/** GET /v1/models/{version}: one model version, and how its publish stands. */
import { modelDetailAnswerSchema } from '@nestrec/contracts';
import { ModelNotFound } from '@nestrec/errors';
import { defineRoute } from '../../http/route.js';
import { presentModel, presentPublishRun } from '../present-model.js';
import { ANY_KEY, versionParams } from '../shared-schemas.js';

export const getModel = defineRoute({
  method: 'get',
  path: '/v1/models/{version}',
  summary: 'A model version',
  description:
    'publish_run is the last publish that was asked for over HTTP: running with the phase and its share, published, refused or failed with the reason. The pointer in GET /v1/models says what serves.',
  access: ANY_KEY,
  params: versionParams,
  answers: { 200: { description: 'The version.', schema: modelDetailAnswerSchema } },
  errors: [ModelNotFound],
  async handler({ params: { version } }, { deps }) {
    const [models, reports, run] = await Promise.all([
      deps.models.list(),
      deps.models.reports(),
      deps.publisher.publishing(version),
    ]);
    const model = models.find((one) => one.version === version);
    if (model === undefined) {
      throw new ModelNotFound({ detail: 'GET /v1/models lists the versions.' });
    }
    const shown = presentModel(model, reports.get(version) ?? null);
    const publishRun = run === null ? null : presentPublishRun(run);
    return { status: 200, body: { ...shown, publish_run: publishRun } };
  },
});
