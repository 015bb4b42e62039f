/**
 * Reads manifests of every format version that nestrec ever wrote.
 *
 * Each older version has one named function that turns it into the next; they run in a row. A change of
 * the manifest schema raises `MANIFEST_FORMAT_VERSION` and adds such a function here.
 */
import { MANIFEST_FORMAT_VERSION, manifestSchema, type Manifest } from '@nestrec/contracts';
import { excerpt } from '@nestrec/errors';
import { refuse } from './refuse.js';

export type RawManifest = Readonly<Record<string, unknown>>;
/** Turns a manifest of the format version it is listed under into one of the next. */
export type ManifestUpgrade = (manifest: RawManifest) => RawManifest;

/** Version 2 added `evaluation`: what a model was not asked when it was made cannot be made up now. */
const withoutEvaluation: ManifestUpgrade = (manifest) => manifest;

const UPGRADES: ReadonlyMap<number, ManifestUpgrade> = new Map([[1, withoutEvaluation]]);

/** Throws `InvalidArtifact` for what is no manifest, or one of an unknown format version. */
export function readManifest(
  value: unknown,
  upgrades: ReadonlyMap<number, ManifestUpgrade> = UPGRADES,
): Manifest {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuse('manifest.json must be a JSON object');
  }
  const upgraded = upgradeToCurrent(value as RawManifest, upgrades);
  const result = manifestSchema.safeParse(upgraded);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = issue!.path.map(String).join('.') || 'the top level';
  return refuse(`manifest.json, ${excerpt(path)}: ${excerpt(issue!.message)}`);
}

function upgradeToCurrent(
  manifest: RawManifest,
  upgrades: ReadonlyMap<number, ManifestUpgrade>,
): RawManifest {
  const found = manifest.formatVersion;
  if (typeof found !== 'number' || !Number.isInteger(found)) {
    return refuse(`manifest.json: formatVersion is ${excerpt(found ?? 'absent')}, not a number`);
  }
  if (found > MANIFEST_FORMAT_VERSION) {
    refuse(
      `manifest.json has format version ${found}; this nestrec reads up to ` +
        `${MANIFEST_FORMAT_VERSION}. Use the nestrec that wrote it, or a newer one.`,
    );
  }
  let current = manifest;
  for (let version = found; version < MANIFEST_FORMAT_VERSION; version++) {
    const upgrade = upgrades.get(version);
    if (upgrade === undefined) refuse(`manifest.json has format version ${version}, never written`);
    current = { ...upgrade!(current), formatVersion: version + 1 };
  }
  return current;
}
