/** Items of the catalogue, as written by `PUT /v1/items/{id}` and by imports. */
import { z } from 'zod';
import { idSchema } from './ids.js';

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
  .refine((name) => Buffer.byteLength(name) <= MAX_NAME_BYTES, {
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

export const itemSchema = z.strictObject({ item_id: idSchema, ...itemInputSchema.shape });
export type Item = z.infer<typeof itemSchema>;

export const itemWriteAnswerSchema = z.strictObject({
  item_id: z.string(),
  /** Versions in which the item is recommendable now. */
  embedded_in: z.array(z.string()),
});
export type ItemWriteAnswer = z.infer<typeof itemWriteAnswerSchema>;
