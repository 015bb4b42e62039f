/** After an import: brings the versions that are served, or can be gone back to, up to the catalogue. */
import { createEmbedderSource, embedCatalogueInLiveVersions } from '@nestrec/publishing';
import { loadArtifact } from '@nestrec/registry';
import type { CommandContext } from './command-context.js';
import type { Platform } from './platform.js';

/** Embeds what the import wrote, so that it is recommendable now and not from the next training on. */
export async function embedImported(
  { output }: CommandContext,
  { config, db, logger }: Platform,
): Promise<void> {
  const embedders = createEmbedderSource(
    (_version, path) => loadArtifact(path),
    config.keepVersions + 2,
  );
  for (const { version, embedded, skipped } of await embedCatalogueInLiveVersions(
    db,
    embedders,
    logger,
  )) {
    const left = skipped === 0 ? '' : `; ${skipped} cannot be embedded in it, see the log`;
    output.note(`Embedded ${embedded} items in the version ${version}${left}.`);
  }
}
