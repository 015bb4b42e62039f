/**
 * Compares two models by the figures of their manifests alone: for artifacts of format version 1, which know
 * nothing of their cases one by one.
 *
 * Judged on validation cases (on test cases only where there are no others), by the mean over common sizes,
 * and only between rows measured the same way. The cases are not the same, hence the wide tolerance.
 */
import type { Manifest, QualityRow } from '@nestrec/contracts';

/** Relative loss of NDCG@10 that two seeds of one recipe may differ by on other cases, and then some. */
const TOLERANCE = 0.1;

const METRIC = 'ndcg@10';

/** Why a model made before the published one is refused, or null. */
export function judgeAge(candidate: Manifest, published: Manifest): string | null {
  if (Date.parse(candidate.createdAt) >= Date.parse(published.createdAt)) return null;
  return (
    `version ${candidate.version} was made at ${candidate.createdAt}, before the published ` +
    `${published.version} (${published.createdAt}); to go back use rollback, or force it`
  );
}

/** What the figures of two manifests say. */
export interface FigureVerdict {
  readonly passed: boolean;
  /** In words, with numbers. */
  readonly reason: string;
}

/** Whether the candidate's figures will do; null where none of both were measured the same way. */
export function judgeFigures(candidate: Manifest, published: Manifest): FigureVerdict | null {
  for (const way of measuredBy(candidate)) {
    const means = meansOfCommonSizes(candidate, published, way);
    if (means === null) continue;
    const [after, before] = means;
    const wanted = before * (1 - TOLERANCE);
    return {
      passed: after >= wanted,
      reason:
        `${METRIC} on ${describe(way)} is ${after.toFixed(4)}, the published ${published.version} has ` +
        `${before.toFixed(4)}, wanted at least ${wanted.toFixed(4)}`,
    };
  }
  return null;
}

type Way = Pick<QualityRow, 'protocol' | 'part' | 'seenMasked'>;

/** How the model's rows were measured, validation before test. */
function measuredBy(manifest: Manifest): Way[] {
  const ways = new Map<string, Way>();
  for (const { protocol, part, seenMasked, scorer } of manifest.quality) {
    if (isModel(scorer)) {
      ways.set(`${protocol} ${part} ${seenMasked}`, { protocol, part, seenMasked });
    }
  }
  return [...ways.values()].sort((a, b) => Number(a.part === 'test') - Number(b.part === 'test'));
}

/** Mean metric of the candidate and of the published model; null where they share no size. */
function meansOfCommonSizes(
  candidate: Manifest,
  published: Manifest,
  way: Way,
): [after: number, before: number] | null {
  const after = metricBySize(candidate, way);
  const before = metricBySize(published, way);
  const common = [...after.keys()].filter((scorer) => before.has(scorer));
  if (common.length === 0) return null;
  const mean = (values: Map<string, number>) =>
    common.reduce((sum, scorer) => sum + values.get(scorer)!, 0) / common.length;
  return [mean(after), mean(before)];
}

function metricBySize(manifest: Manifest, way: Way): Map<string, number> {
  const values = new Map<string, number>();
  for (const row of manifest.quality) {
    const sameWay =
      row.protocol === way.protocol && row.part === way.part && row.seenMasked === way.seenMasked;
    const value = row.metrics[METRIC];
    if (isModel(row.scorer) && sameWay && value !== undefined) values.set(row.scorer, value);
  }
  return values;
}

const isModel = (scorer: string) => scorer.startsWith('model@');

const describe = (way: Way) =>
  `${way.part} cases (${way.protocol}, seen items ${way.seenMasked ? 'masked' : 'not masked'})`;
