/** Answers about erasures: what a caller gets for asking, and what has become of it since. */
import { z } from 'zod';

/** Names the place of an erasure in the log; holds no id of a user. */
export const receiptSchema = z
  .string()
  .regex(/^e1\.[0-9]{1,6}\.[0-9]{1,18}\.[A-Za-z0-9_-]{22}$/)
  .describe('The receipt in the answer of a DELETE of a user or an event.');

export const erasureAcceptedSchema = z.strictObject({
  /** Pass it to GET /v1/erasures/{receipt}. */
  receipt: receiptSchema,
  /** Opaque; pass as `after` to wait until the erasure is in the user's state. */
  token: z.string(),
});
export type ErasureAccepted = z.infer<typeof erasureAcceptedSchema>;

export const erasureAnswerSchema = z.strictObject({
  receipt: receiptSchema,
  /** rejected: the record of the erasure was set aside; `reason` says why, and nothing was erased. */
  status: z.enum(['pending', 'applied', 'rejected']),
  kind: z.enum(['user', 'event']).nullable(),
  requested_at: z.string().nullable(),
  applied_at: z.string().nullable(),
  /** What was there to be erased; null until the erasure is applied. */
  erased: z
    .strictObject({
      events: z.number().int(),
      /** States removed or made anew without the event. */
      states: z.number().int(),
      dead_letters: z.number().int(),
    })
    .nullable(),
  reason: z.string().nullable(),
});
export type ErasureAnswer = z.infer<typeof erasureAnswerSchema>;
