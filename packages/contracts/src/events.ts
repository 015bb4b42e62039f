/**
 * Events: what producers send (`eventInputSchema`), and what the log holds (`logEventSchema`):
 * interactions, and erasures, which travel in the same log so that they keep their order with them.
 *
 * A user's events are ordered by (timestamp, event_id) everywhere.
 */
import { z } from 'zod';
import { idSchema } from './ids.js';
import { compareUtf8 } from './utf8.js';

export const EVENT_SCHEMA_VERSION = 1;
export const MAX_EVENTS_PER_REQUEST = 1_000;
export const EARLIEST_TIMESTAMP_MS = Date.UTC(2000, 0, 1);
export const MAX_FUTURE_MS = 5 * 60_000;

/** RFC 3339 with a zone, or epoch milliseconds. Range is checked by the edge, which knows the time. */
export const timestampSchema = z.union([z.iso.datetime({ offset: true }), z.number().int()]);

export const eventInputSchema = z.strictObject({
  event_id: idSchema.optional(),
  user_id: idSchema,
  item_id: idSchema,
  type: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[a-z][a-z0-9_]*$/)
    .refine((type) => !type.startsWith('erase_'), {
      error: 'another type: those that begin with erase_ are reserved for erasures in the same log',
    })
    .default('interaction'),
  timestamp: timestampSchema.optional(),
  value: z.number().finite().optional(),
});
export type EventInput = z.infer<typeof eventInputSchema>;
/** An event as it is sent: what has a default may be left out. */
export type EventBody = z.input<typeof eventInputSchema>;

export const eventsRequestSchema = z.strictObject({
  events: z.array(eventInputSchema).min(1).max(MAX_EVENTS_PER_REQUEST),
});
export type EventsRequest = z.infer<typeof eventsRequestSchema>;

export const eventsAnswerSchema = z.strictObject({
  accepted: z.number().int(),
  /** Opaque; pass as `after` to wait until these events are in the user's state. */
  token: z.string(),
});
export type EventsAnswer = z.infer<typeof eventsAnswerSchema>;

const logEventHead = {
  schema_version: z.literal(EVENT_SCHEMA_VERSION),
  event_id: idSchema,
  user_id: idSchema,
};

/** An interaction as it stands in the log: every field filled in, the time in epoch milliseconds. */
export const logInteractionSchema = z.strictObject({
  ...logEventHead,
  item_id: idSchema,
  type: z
    .string()
    .min(1)
    .max(64)
    // Types that begin with erase_ change history instead of adding to it.
    .regex(/^(?!erase_)[a-z][a-z0-9_]*$/),
  timestamp_ms: z.number().int(),
  value: z.number().finite().nullable(),
});
export type LogInteraction = z.infer<typeof logInteractionSchema>;

/** Takes one event of the user out of history; `event_id` is the id of the erasure itself. */
export const logEraseEventSchema = z.strictObject({
  ...logEventHead,
  type: z.literal('erase_event'),
  target_event_id: idSchema,
  timestamp_ms: z.number().int(),
});
export type LogEraseEvent = z.infer<typeof logEraseEventSchema>;

/** Takes out all that the log held of the user so far, and what comes late: up to `timestamp_ms`. */
export const logEraseUserSchema = z.strictObject({
  ...logEventHead,
  type: z.literal('erase_user'),
  timestamp_ms: z.number().int(),
});
export type LogEraseUser = z.infer<typeof logEraseUserSchema>;

export type LogErasure = LogEraseEvent | LogEraseUser;

/** One record of the log. */
export const logEventSchema = z.union([
  logEraseUserSchema,
  logEraseEventSchema,
  logInteractionSchema,
]);
export type LogEvent = z.infer<typeof logEventSchema>;

export const isErasure = (event: LogEvent): event is LogErasure =>
  event.type === 'erase_user' || event.type === 'erase_event';

/** The order of one user's events, the same in training, evaluation and states. */
export function compareEvents(
  a: { timestampMs: number; eventId: string },
  b: { timestampMs: number; eventId: string },
): number {
  if (a.timestampMs !== b.timestampMs) return a.timestampMs - b.timestampMs;
  // Bytewise, as PostgreSQL compares under COLLATE "C".
  return compareUtf8(a.eventId, b.eventId);
}
