/** Import summaries: counts that add up, and their adjustment by the store. */
import { InternalError } from '@nestrec/errors';
import type { ImportSummary } from './types.js';

/** Moves rows that the store had already from `stored` to `duplicate`. */
export function withAlreadyStored<S extends ImportSummary>(summary: S, alreadyStored: number): S {
  return addUp({
    ...summary,
    stored: summary.stored - alreadyStored,
    duplicate: summary.duplicate + alreadyStored,
  });
}

/** Moves rows that the store keeps out, since they or their users were erased, from `stored` to `filtered`. */
export function withErased<S extends ImportSummary>(summary: S, erased: number): S {
  if (erased === 0) return summary;
  const note = `${erased} rows were left out: their events or users have been erased`;
  return addUp({
    ...summary,
    stored: summary.stored - erased,
    filtered: summary.filtered + erased,
    notes: [...summary.notes, note],
  });
}

/** Refuses a summary that does not add up: a row would have vanished, or been counted twice. */
export function addUp<S extends ImportSummary>(summary: S): S {
  const { read, stored, duplicate, filtered, bad } = summary;
  const byReason = Object.values(summary.badByReason).reduce((a, b) => a + b, 0);
  if (read !== stored + duplicate + filtered + bad || bad !== byReason || stored < 0)
    throw new InternalError({
      detail:
        `The import does not add up: read ${read}, stored ${stored}, duplicate ${duplicate}, ` +
        `filtered ${filtered}, bad ${bad} (${byReason} by reason).`,
    });
  return summary;
}
