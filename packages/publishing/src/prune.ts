/**
 * Gives back the disk of versions that were left behind: their vector tables, and their artifacts.
 *
 * An artifact goes only where its version was served once, is not kept, and was made before the published
 * one: what is published, what can be gone back to, and every candidate stay. So does the version's row,
 * which keeps its name from being given to other files.
 */
import { rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { randomBytes } from 'node:crypto';
import type { Database } from '@nestrec/database';
import { listArtifacts } from '@nestrec/registry';
import type { Logger } from '@nestrec/runtime';
import { getPublished, listVersions } from '@nestrec/storage';
import { cleanUpVectorTables, KEPT_PREVIOUS, versionsToKeep } from './clean-up.js';
import { claimPublishing } from './publishing-claim.js';

export interface PruneOptions {
  readonly db: Database;
  readonly logger: Logger;
  /** Folder of the artifacts; nothing outside of it is touched. */
  readonly modelsDir: string;
  /** Versions besides the published one that stay. Default 2. */
  readonly keepPrevious?: number;
  /** How long to wait for one who publishes. Default 5 s. */
  readonly waitMs?: number;
  /** Say what would go, and leave it. */
  readonly dryRun?: boolean;
}

export interface PruneResult {
  readonly kept: readonly string[];
  /** Versions whose artifacts went, or would go. */
  readonly artifacts: readonly string[];
  /** Versions whose vector tables went; empty in a dry run. */
  readonly tables: readonly string[];
}

/** @throws PublishConflict, with who, where somebody publishes: what that one needs must not go */
export async function pruneVersions(options: PruneOptions): Promise<PruneResult> {
  if (options.dryRun === true) return pruneClaimed(options, () => true);
  const claim = await claimPublishing(options.db, 'prunes', options.waitMs);
  try {
    return await pruneClaimed(options, () => !claim.lost);
  } finally {
    await claim.release();
  }
}

async function pruneClaimed(options: PruneOptions, isClaimed: () => boolean): Promise<PruneResult> {
  const { db, logger, modelsDir, keepPrevious = KEPT_PREVIOUS, dryRun = false } = options;
  const pointer = await getPublished(db);
  // Without a published version nobody can say what is old.
  if (pointer === null) return { kept: [], artifacts: [], tables: [] };
  const keptVersions = await versionsToKeep(db, keepPrevious);
  const kept = keptVersions.map(({ version }) => version);
  // Those whose vectors a kept version shares are read for new items.
  const needed = new Set([...kept, ...keptVersions.map(({ vectorsVersion }) => vectorsVersion)]);
  const versions = await listVersions(db);
  const publishedAtMs = versions.find((one) => one.version === pointer.version)!.createdAtMs;
  const retired = new Set(
    versions
      .filter(({ status, createdAtMs }) => status === 'retired' && createdAtMs <= publishedAtMs)
      .map(({ version }) => version)
      .filter((version) => !needed.has(version)),
  );
  const doomed = (await listArtifacts(modelsDir)).filter(
    ({ folder, problem }) => problem === null && retired.has(folder),
  );
  const artifacts = doomed.map(({ folder }) => folder);
  if (dryRun) return { kept, artifacts, tables: [] };
  // Tables first: a version without vectors cannot be gone back to while its artifact goes.
  const tables = await cleanUpVectorTables(db, logger, { keepPrevious, isClaimed });
  for (const { path } of doomed) await removeFolder(path);
  if (artifacts.length > 0)
    logger.info({ versions: artifacts }, 'removed artifacts of old versions');
  return { kept, artifacts, tables };
}

/** Out of sight first, so that nobody finds half of it; a kill leaves what the next start clears. */
async function removeFolder(path: string): Promise<void> {
  const hidden = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  await rename(path, hidden);
  await rm(hidden, { recursive: true, force: true });
}
