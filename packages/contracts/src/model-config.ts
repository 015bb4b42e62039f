/**
 * What a model is: the record that fixes every parameter's shape. Training settings (dropout, learning
 * rate) are not here; they are in the manifest's `training` record.
 */
import { z } from 'zod';

/** A place in depth and width whose output is trained in every step, beside the full depth's. */
export const modelExitSchema = z.strictObject({
  /** Blocks that a query goes through; fewer than the model has. */
  blocks: z.number().int().min(1).max(15),
  /** Greatest size that is trained there, one of the model's; the smaller ones are trained with it. */
  dim: z.number().int().min(1).max(4_096),
});
export type ModelExit = z.infer<typeof modelExitSchema>;

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
    /** Early exits, by ascending blocks; absent: only the full depth is trained. */
    exits: z.array(modelExitSchema).min(1).max(15).optional(),
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
    (config.exits ?? []).forEach(({ blocks, dim }, i, exits) => {
      const fault = (field: string, message: string) =>
        context.addIssue({ code: 'custom', path: ['exits', i, field], message });
      if (blocks >= config.blocks)
        fault('blocks', `wanted fewer than the ${config.blocks} there are`);
      if (blocks <= (exits[i - 1]?.blocks ?? 0)) fault('blocks', 'exits must increase, each once');
      if (!config.sizes.includes(dim)) fault('dim', 'wanted one of the sizes');
    });
  });
export type ModelConfig = z.infer<typeof modelConfigSchema>;
export type ModelConfigInput = z.input<typeof modelConfigSchema>;

/**
 * After how many blocks a query of size `dim` is taken where an exit after `wish` blocks is asked for: all of them
 * where nothing is asked for, or the model was not trained to answer there.
 */
export function servedBlocks(
  { blocks, exits = [] }: Pick<ModelConfig, 'blocks' | 'exits'>,
  dim: number,
  wish: number | null | undefined,
): number {
  return exits.find((exit) => exit.blocks === wish && dim <= exit.dim)?.blocks ?? blocks;
}
