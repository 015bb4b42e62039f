/** What `nestrec publish` says of a refusal: the reason of this attempt, never that of an earlier one. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { Estimate, Evaluation } from '@nestrec/contracts';
import { loadConfig, silentLogger } from '@nestrec/runtime';
import { saveArtifact } from '@nestrec/registry';
import { newestPublishReport, recordPublishReport } from '@nestrec/storage';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { publishAndReport } from '../../services/cli/src/commands/publish.js';
import { createOutput, type Output } from '../../services/cli/src/output.js';
import { dataFolders, type Platform } from '../../services/cli/src/platform.js';
import { cliSettings } from '../../services/cli/src/settings.js';
import { draftOf } from '../helpers/api/served-api.js';
import { describeDatabases } from '../helpers/databases.js';
import { makeArtifact } from '../helpers/published-artifact.js';
import { wipeAll } from '../helpers/state-verification.js';

const at = (mean: number): Estimate => ({ mean, low: mean, high: mean });
const evaluation: Evaluation = {
  ...{ protocol: 'leave-one-out', validationFrom: null, testFrom: null, against: null },
  ...{ cases: 900, users: 900, comparedCases: 900, comparedUsers: 900 },
  sizes: [4, 8, 16].map((dim) => ({
    ...{ limit: dim, dim, publishedDim: null, ndcg10: at(0.1), recall10: at(0.2) },
    ...{ popularity: 0.05, overPopularity: at(0.05), published: null, overPublished: null },
  })),
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestrec-reasons-'));
  const { manifest, ...content } = makeArtifact({ version: 'v1' });
  const draft = { ...draftOf(manifest), evaluation };
  await saveArtifact(join(folder, 'models'), { manifest: draft, ...content });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describeDatabases('a publish that is refused', (database) => {
  let notes: string[];
  let output: Output;
  let platform: Platform;
  beforeEach(async () => {
    await wipeAll(database());
    await database().execute('TRUNCATE publish_reports');
    notes = [];
    const sink = new PassThrough().resume();
    output = {
      ...createOutput({ stdout: sink, stderr: sink }, false),
      note: (text) => notes.push(text),
    };
    const config = loadConfig(cliSettings, { NESTREC_DATA_DIR: folder });
    platform = {
      ...{ config, folders: dataFolders(config), db: database(), logger: silentLogger() },
      close: () => Promise.resolve(),
    };
    await recordPublishReport(database(), {
      ...{ version: 'v1', outcome: 'refused', against: null, forced_by: null },
      ...{ margin: 0.05, min_recall: 0.95, tiers: [], cases: null, users: null, indexes: [] },
      reasons: ['the reason of last week'],
    });
  });

  it('because another publishes says who, and not why it was refused last time', async () => {
    const held = await database().hold(1, 'process 1 on there publishes v9');
    if ('heldBy' in held) throw new Error(held.heldBy);
    try {
      await expect(publishAndReport(output, platform, 'v1')).rejects.toMatchObject({
        detail: expect.stringContaining('process 1 on there publishes v9') as string,
      });
    } finally {
      await held.release();
    }
    expect(notes).toEqual([]);
  });

  it('by its indexes prints the report of that', async () => {
    await expect(publishAndReport(output, platform, 'v1', { minRecall: 1.01 })).rejects.toThrow();
    expect(await newestPublishReport(database(), 'v1')).toMatchObject({ outcome: 'refused' });
    expect(notes.join('\n')).toMatch(/wanted 1\.01/);
    expect(notes.join('\n')).not.toMatch(/last week/);
  });
});
