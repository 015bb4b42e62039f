/** A deliberately broken API: it lets go of the old model as soon as the pointer has moved. */
import { createPublishedModels, type PublishedModels } from '@nestrec/retrieval';
import { getPublished } from '@nestrec/storage';
import { runApiWithModels } from './api-with-models.js';

await runApiWithModels((db, logger) => {
  let models = createPublishedModels({ db, logger });
  const hasty: PublishedModels = {
    ...models,
    current: async () => {
      const served = models.peek()?.version;
      if (served !== undefined && served !== (await getPublished(db))?.version) {
        models = createPublishedModels({ db, logger });
      }
      return models.current();
    },
    refresh: () => models.refresh(),
    peek: () => models.peek(),
  };
  return hasty;
});
