/** What pruning removes, and what it never does, over both databases and artifacts on disk. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pruneVersions } from '@nestrec/publishing';
import { loadArtifact } from '@nestrec/registry';
import { silentLogger } from '@nestrec/runtime';
import { listItemVectorTables, listVersions, registerVersion } from '@nestrec/storage';
import { expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { publishModel } from '../helpers/published-model.js';
import { rolledBack } from '../helpers/rolled-back.js';

const logger = silentLogger();

describeDatabases('pruning', (database) => {
  it('removes artifacts of what was served and is not kept; candidates, kept and published stay', async () => {
    const db = database();
    const modelsDir = await mkdtemp(join(tmpdir(), 'nestrec-prune-'));
    const prune = (keepPrevious: number, dryRun = false) =>
      pruneVersions({ db, logger, modelsDir, keepPrevious, dryRun });
    const folders = async () => (await readdir(modelsDir)).sort();
    expect(await prune(2)).toEqual({ kept: [], artifacts: [], tables: [] });
    for (const version of ['v1', 'v2', 'v3', 'v4', 'v5']) {
      await publishModel(db, modelsDir, { version, items: 12 });
    }
    // A candidate: published once aside, so that its artifact is there, then known as new.
    const { manifest } = await loadArtifact(join(modelsDir, 'v5'));
    await registerVersion(db, {
      ...{ version: 'v0', path: join(modelsDir, 'v0') },
      manifest: { ...manifest, version: 'v0' },
    });

    expect(await prune(2, true)).toMatchObject({ artifacts: ['v1', 'v2'], tables: [] });
    expect(await folders()).toEqual(['v1', 'v2', 'v3', 'v4', 'v5']);
    expect(await prune(2)).toMatchObject({ kept: ['v5', 'v4', 'v3'], artifacts: ['v1', 'v2'] });
    expect(await folders()).toEqual(['v3', 'v4', 'v5']);
    expect(await listItemVectorTables(db)).toEqual(['v3', 'v4', 'v5']);
    expect((await listVersions(db)).find(({ version }) => version === 'v0')?.status).toBe(
      'candidate',
    );

    // The version before the published one stays, whatever number is asked for; and one that is newer.
    await rolledBack(db, { to: 'v3' });
    expect(await prune(0)).toMatchObject({ kept: ['v3', 'v5'], artifacts: [], tables: ['v4'] });
    expect(await folders()).toEqual(['v3', 'v4', 'v5']);
    await rm(modelsDir, { recursive: true, force: true });
  });
});
