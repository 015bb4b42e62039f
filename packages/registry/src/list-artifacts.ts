/** What versions a models folder holds, judged by their manifests alone (weights are not read). */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '@nestrec/contracts';
import { InputNotFound, NestrecError } from '@nestrec/errors';
import { checkFolder, readManifestFile, systemCode } from './artifact-files.js';

export interface ArtifactListing {
  readonly path: string;
  readonly folder: string;
  /** null when the manifest is refused. */
  readonly manifest: Manifest | null;
  /** Why this entry cannot be used; null when its manifest is fine. */
  readonly problem: string | null;
}

/**
 * Every entry of `modelsDir` but hidden ones (unfinished writes), oldest first, unusable ones last. A
 * folder that does not carry its version's name is a problem: two folders could claim one version. A
 * models folder that does not exist yet holds nothing. Throws `InputNotFound` when it cannot be read.
 */
export async function listArtifacts(modelsDir: string): Promise<ArtifactListing[]> {
  const listings: ArtifactListing[] = [];
  for (const folder of await entriesOf(modelsDir)) {
    listings.push(await describe(join(modelsDir, folder), folder));
  }
  const key = ({ manifest, folder }: ArtifactListing) =>
    manifest === null ? `~${folder}` : `${manifest.createdAt} ${folder}`;
  return listings.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

async function entriesOf(modelsDir: string): Promise<string[]> {
  try {
    return (await readdir(modelsDir)).filter((name) => !name.startsWith('.'));
  } catch (cause) {
    const code = systemCode(cause);
    if (code === 'ENOENT') return [];
    throw new InputNotFound({
      detail: `Cannot read the models folder ${modelsDir}: ${code}.`,
      cause,
    });
  }
}

async function describe(path: string, folder: string): Promise<ArtifactListing> {
  try {
    await checkFolder(path);
    const manifest = await readManifestFile(path);
    const problem =
      manifest.version === folder
        ? null
        : `the folder is named "${folder}", its manifest says version "${manifest.version}"`;
    return { path, folder, manifest, problem };
  } catch (error) {
    if (!(error instanceof NestrecError)) throw error;
    return { path, folder, manifest: null, problem: error.detail ?? error.message };
  }
}
