/**
 * What of the stored events a run is to read: `nestrec train`, the cron and a run agree about it here. Knows
 * neither database nor model.
 */

/** Which of the stored events are trained on and evaluated. What is left out has no limit. */
export interface TrainingWindow {
  /** Epoch milliseconds: only events at or after it. */
  readonly sinceMs?: number | undefined;
  /** Only events of so many milliseconds before the newest stored one, which is in. */
  readonly durationMs?: number | undefined;
  /**
   * Of each user only the newest so many, so that no single one outweighs all others; 0 = all. Default:
   * `DEFAULT_MAX_EVENTS_PER_USER`.
   */
  readonly maxEventsPerUser?: number | undefined;
}

/** As many events as serving remembers of a user at most. */
export const DEFAULT_MAX_EVENTS_PER_USER = 5_000;
