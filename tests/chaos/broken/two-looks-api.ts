/**
 * A deliberately broken API: weights and states by the model in memory, item vectors by the pointer as it
 * stands. Both looks are right; together they are not.
 */
import { createPublishedModels } from '@nestrec/retrieval';
import { getPublished, itemVectorsTable } from '@nestrec/storage';
import { runApiWithModels } from './api-with-models.js';

const LOOK_EVERY_MS = 20;

await runApiWithModels((db, logger) => {
  const models = createPublishedModels({ db, logger });
  let table: string | null = null;
  setInterval(() => {
    void getPublished(db).then((pointer) => {
      table = pointer && itemVectorsTable(pointer.version);
    });
  }, LOOK_EVERY_MS);
  return {
    ...models,
    current: async () => {
      const model = await models.current();
      return { ...model, table: table ?? model.table };
    },
  };
});
