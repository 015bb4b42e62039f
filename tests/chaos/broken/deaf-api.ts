/** A deliberately broken API: it does not listen, and looks at the pointer every 15 seconds. */
import { createPublishedModels } from '@nestrec/retrieval';
import { runApiWithModels } from './api-with-models.js';

await runApiWithModels((db, logger) => createPublishedModels({ db, logger, pollMs: 15_000 }));
