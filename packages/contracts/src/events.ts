/**
 * Events: what producers send (`eventInputSchema`), and what the log holds (`logEventSchema`).
 *
 * A user's events are ordered by (timestamp, event_id) everywhere.
 */
import { z } from 'zod';
import { idSchema } from './ids.js';

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

/** One event as it stands in the log: every field filled in, the time in epoch milliseconds. */
export const logEventSchema = z.strictObject({
  schema_version: z.literal(EVENT_SCHEMA_VERSION),
  event_id: idSchema,
  user_id: idSchema,
  item_id: idSchema,
  type: z.string().min(1).max(64),
  timestamp_ms: z.number().int(),
  value: z.number().finite().nullable(),
});
export type LogEvent = z.infer<typeof logEventSchema>;

/** The order of one user's events, the same in training, evaluation and states. */
export function compareEvents(
  a: { timestampMs: number; eventId: string },
  b: { timestampMs: number; eventId: string },
): number {
  if (a.timestampMs !== b.timestampMs) return a.timestampMs - b.timestampMs;
  // Bytewise, as PostgreSQL compares under COLLATE "C".
  return Buffer.compare(Buffer.from(a.eventId), Buffer.from(b.eventId));
}
