/** Items of the catalogue, as written by `PUT /v1/items/{id}` and by imports. */
import { z } from 'zod';
import { idSchema } from './ids.js';
import { utf8Length } from './utf8.js';

const MAX_NAME_BYTES = 64;
/** The greatest float32: vectors are kept as such, and what is larger would become infinite. */
const MAX_FLOAT32 = 3.4028234663852886e38;

/** Text that every store keeps as it was sent. */
const textSchema = (maxCharacters: number) =>
  z
    .string()
    .max(maxCharacters)
    .refine((text) => !text.includes('\0') && text.isWellFormed(), {
      error: 'a text without NUL characters and lone surrogates',
    });

const nameSchema = textSchema(MAX_NAME_BYTES)
  .min(1)
  .refine((name) => utf8Length(name) <= MAX_NAME_BYTES, {
    error: `a name of at most ${MAX_NAME_BYTES} bytes`,
  });

const fieldValueSchema = z.union([
  textSchema(1_024),
  z.number().finite(),
  z.boolean(),
  z.array(textSchema(256)).max(64),
]);

const vectorSchema = z.array(z.number().min(-MAX_FLOAT32).max(MAX_FLOAT32)).min(1).max(8_192);

export const itemInputSchema = z.strictObject({
  title: textSchema(2_048).optional(),
  brand: textSchema(256).optional(),
  categories: z.array(textSchema(256)).max(32).optional(),
  available: z.boolean().default(true),
  fields: z.record(nameSchema, fieldValueSchema).optional(),
  /** Precomputed vectors by modality. */
  features: z.record(nameSchema, vectorSchema).optional(),
});
export type ItemInput = z.infer<typeof itemInputSchema>;
/** An item as it is sent: what has a default may be left out. */
export type ItemBody = z.input<typeof itemInputSchema>;

export const itemSchema = z.strictObject({ item_id: idSchema, ...itemInputSchema.shape });
export type Item = z.infer<typeof itemSchema>;

export const MAX_ITEMS_PER_REQUEST = 1_000;

export const itemsRequestSchema = z.strictObject({
  items: z
    .array(itemSchema)
    .min(1)
    .max(MAX_ITEMS_PER_REQUEST)
    .superRefine((items, context) => {
      const seen = new Set<string>();
      items.forEach(({ item_id }, index) => {
        if (seen.has(item_id)) {
          context.addIssue({
            code: 'custom',
            message: 'an item_id that no other item of the request has',
            path: [index, 'item_id'],
          });
        }
        seen.add(item_id);
      });
    }),
});
export type ItemsRequest = z.infer<typeof itemsRequestSchema>;
/** Items as they are sent in bulk. */
export type ItemsBody = z.input<typeof itemsRequestSchema>;

export const itemWriteAnswerSchema = z.strictObject({
  item_id: z.string(),
  /** Versions in which the item is recommendable now. */
  embedded_in: z.array(z.string()),
});
export type ItemWriteAnswer = z.infer<typeof itemWriteAnswerSchema>;

export const itemOutcomeSchema = z.strictObject({
  item_id: z.string(),
  /** refused: the published model cannot take it; nothing of it was written. */
  outcome: z.enum(['created', 'updated', 'refused']),
  /** Versions in which the item is recommendable now. */
  embedded_in: z.array(z.string()),
  /** Why it was refused; null where it was written. */
  error: z.strictObject({ code: z.string(), detail: z.string() }).nullable(),
});
export type ItemOutcome = z.infer<typeof itemOutcomeSchema>;

export const itemsWriteAnswerSchema = z.strictObject({
  created: z.number().int(),
  updated: z.number().int(),
  refused: z.number().int(),
  /** One for each item of the request, in its order. */
  items: z.array(itemOutcomeSchema),
});
export type ItemsWriteAnswer = z.infer<typeof itemsWriteAnswerSchema>;
