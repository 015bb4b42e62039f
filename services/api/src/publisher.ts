/** Publishing and rolling back on request of an administrator, over the publishing package. */
import type { Database } from '@nestrec/database';
import { ModelNotFound } from '@nestrec/errors';
import { publishVersion, rollback } from '@nestrec/publishing';
import { loadArtifact } from '@nestrec/registry';
import type { Logger } from '@nestrec/runtime';
import { getVersion, listTiers } from '@nestrec/storage';
import type { Publisher } from './deps.js';

export function createPublisher(db: Database, logger: Logger): Publisher {
  return {
    publish: async (version, force) => {
      const known = await getVersion(db, version);
      if (known === null) throw new ModelNotFound({ detail: 'GET /v1/models lists the versions.' });
      const tiers = await listTiers(db);
      const result = await publishVersion({
        db,
        artifact: await loadArtifact(known.path),
        path: known.path,
        tierDims: tiers.map((tier) => tier.max_dim),
        tierPlans: tiers.map(({ max_dim, plan }) => ({ maxDim: max_dim, plan })),
        logger,
        ...(force === null ? {} : { force: true, forcedBy: force }),
      });
      return { published: result.version, previous: result.previousVersion };
    },
    rollback: async (from) => {
      const { version, rolledBack } = await rollback(db, { from });
      return { published: version, previous: rolledBack };
    },
  };
}
