/**
 * Corrupt and hostile artifacts (reliability.md B6, 2E): each is refused at loading, which comes before anything
 * is written or served, soon, without much memory, and with a reason that names what is wrong.
 *
 * MUTANTS sets how many (140 here; `npm run test:security` takes 1,000), MUTANTS_SEED repeats a run.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRandom } from '@nestrec/random';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mutantsOf, readGood, type GoodArtifact } from '../../../tests/helpers/artifact-mutants.js';
import { makeArtifact } from '../../../tests/helpers/published-artifact.js';
import type { ManifestDraft } from './artifact.js';
import { loadArtifact, verifyArtifact } from './read-artifact.js';
import { saveArtifact } from './save-artifact.js';

const MUTANTS = Number(process.env['MUTANTS'] ?? 140);
const SEED = Number(process.env['MUTANTS_SEED'] ?? 20261126);
const MAX_MS = 1_000;
const KIB = 1_024;

let models: string;
let folder: string;
let good: GoodArtifact;
beforeAll(async () => {
  models = await mkdtemp(join(tmpdir(), 'nestrec-mutants-'));
  // Several MB, so that twice its size is more than what a process takes by the way.
  const artifact = makeArtifact({ version: 'v1', items: 20_000, sizes: [16, 32, 64] });
  const { manifest, ...content } = artifact;
  const filledIn = ['formatVersion', 'itemIdsSha256', 'files'];
  const draft = Object.entries(manifest).filter(([name]) => !filledIn.includes(name));
  await saveArtifact(models, {
    manifest: Object.fromEntries(draft) as unknown as ManifestDraft,
    ...content,
  });
  folder = join(models, 'v1');
  good = await readGood(folder);
});
afterAll(() => rm(models, { recursive: true, force: true }));

const sizeOf = (files: ReadonlyMap<string, Uint8Array>) =>
  [...files.values()].reduce((sum, bytes) => sum + bytes.length, 0);
const peakBytes = () => process.resourceUsage().maxRSS * KIB;

describe('corrupt and hostile artifacts', () => {
  it(
    `${MUTANTS} mutants (seed ${SEED}) are all refused in a second each, within twice their size of memory`,
    { timeout: 3_600_000 },
    async () => {
      // What loading takes by itself is known after a few.
      for (let n = 0; n < 3; n++) await loadArtifact(folder);
      const slow: string[] = [];
      const large: string[] = [];
      const vague: string[] = [];
      for (const mutant of mutantsOf(good, MUTANTS, createRandom(SEED))) {
        for (const [name, bytes] of mutant.files) await writeFile(join(folder, name), bytes);
        const [startMs, startBytes] = [performance.now(), peakBytes()];
        const report = await verifyArtifact(folder);
        const ms = performance.now() - startMs;
        const grownBytes = peakBytes() - startBytes;
        expect(report.accepted, mutant.kind).toBe(false);
        if (ms > MAX_MS) slow.push(`${mutant.kind}: ${Math.round(ms)} ms`);
        if (grownBytes > 2 * sizeOf(good.files)) large.push(`${mutant.kind}: ${grownBytes} bytes`);
        if (!mutant.names.test(report.reason!)) vague.push(`${mutant.kind}: ${report.reason}`);
        for (const name of mutant.files.keys()) {
          await writeFile(join(folder, name), good.files.get(name)!);
        }
      }
      expect({ slow, large, vague }).toEqual({ slow: [], large: [], vague: [] });
      // Otherwise nothing but a broken folder would have been shown.
      expect(await verifyArtifact(folder)).toMatchObject({ accepted: true });
    },
  );
});
