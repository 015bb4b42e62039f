/** Items of the catalogue, as written by `PUT /v1/items/{id}` and by imports. */
import { z } from 'zod';
import { idSchema } from './ids.js';

const fieldValueSchema = z.union([
  z.string().max(1_024),
  z.number().finite(),
  z.boolean(),
  z.array(z.string().max(256)).max(64),
]);

export const itemInputSchema = z.strictObject({
  title: z.string().max(2_048).optional(),
  brand: z.string().max(256).optional(),
  categories: z.array(z.string().max(256)).max(32).optional(),
  available: z.boolean().default(true),
  fields: z.record(z.string().min(1).max(64), fieldValueSchema).optional(),
  /** Precomputed vectors by modality. */
  features: z.record(z.string().min(1).max(64), z.array(z.number().finite()).max(8_192)).optional(),
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
