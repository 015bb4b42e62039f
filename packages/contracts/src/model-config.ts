/**
 * What a model is: the record that fixes every parameter's shape. Training settings (dropout, learning
 * rate) are not here; they are in the manifest's `training` record.
 */
import { z } from 'zod';

export const modelConfigSchema = z
  .strictObject({
    /** Nested sizes m_1 < ... < m_M; the last is D. */
    sizes: z.array(z.number().int().min(1).max(4_096)).min(1).max(32),
    /** K, the number of LRU blocks. */
    blocks: z.number().int().min(1).max(16),
    /** F, the width of the item features (all modalities and missing indicators). */
    featureWidth: z.number().int().min(0),
    /** N, the number of items; internal ids are 1..N, 0 is padding. */
    numItems: z.number().int().min(1),
    useBias: z.boolean().default(true),
    /** Adds R_i to E_i = P f_i + p (`embedding.item_residual`, N x D). */
    itemResidual: z.boolean().default(true),
    /** One learned log-scale per size on the scores (`head.log_score_scale`, M). */
    scoreScale: z.boolean().default(true),
    /** Ring of |lambda| at initialisation. */
    rMin: z.number().min(0).max(1).default(0),
    rMax: z.number().min(0).max(1).default(0.5),
  })
  .superRefine((config, context) => {
    for (let i = 1; i < config.sizes.length; i++) {
      if (config.sizes[i]! <= config.sizes[i - 1]!) {
        context.addIssue({ code: 'custom', path: ['sizes', i], message: 'sizes must increase' });
      }
    }
    if (config.featureWidth === 0 && !config.itemResidual) {
      context.addIssue({
        code: 'custom',
        path: ['itemResidual'],
        message: 'a model without item features needs the item residual',
      });
    }
  });
export type ModelConfig = z.infer<typeof modelConfigSchema>;
export type ModelConfigInput = z.input<typeof modelConfigSchema>;
