/** Dead letters: what the topic of dead letters holds for each record that was set aside. */
import { z } from 'zod';

export const DEAD_LETTER_SCHEMA_VERSION = 1;

/** One record that was set aside, as a JSON document. */
export const deadLetterSchema = z.strictObject({
  schema_version: z.literal(DEAD_LETTER_SCHEMA_VERSION),
  topic: z.string().min(1).describe('Topic that the record was read from.'),
  partition: z.number().int().min(0),
  offset: z
    .string()
    .regex(/^\d+$/)
    .describe(
      'Offset of the record, decimal; a string, since 64 bits exceed what JSON is sure of.',
    ),
  part: z
    .number()
    .int()
    .min(0)
    .describe('Place within a record that holds several events; 0 otherwise.'),
  reason: z.string().min(1).describe('Why it was set aside: a code of docs/events.md.'),
  detail: z.string().describe('What was got and what was wanted, for people.'),
  key: z
    .string()
    .nullable()
    .describe('The key as text, bytes that are no UTF-8 as U+FFFD; null where it had none.'),
  key_base64: z.base64().nullable().describe('The bytes of the key.'),
  value_base64: z
    .base64()
    .nullable()
    .describe('The bytes of the value; null where it had none, or was too large for a document.'),
  value_bytes: z
    .number()
    .int()
    .min(0)
    .nullable()
    .describe('Length of the value; null where the record had none.'),
  rejected_at: z.iso.datetime(),
  consumer_version: z.string().nullable().describe('Version of the ingest that set it aside.'),
});
export type DeadLetter = z.infer<typeof deadLetterSchema>;
