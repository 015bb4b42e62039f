/** How the SASRec baseline is made and trained: a plain record, with the defaults of every width. */
import { z } from 'zod';
import { InvalidConfig } from '@nestrec/errors';

export const sasrecSettingsSchema = z.strictObject({
  /** Width of item vectors and layers. */
  width: z.number().int().min(1).max(4_096),
  blocks: z.number().int().min(1).max(16),
  /** Attention heads, a divisor of the width. */
  heads: z.number().int().min(1).max(64),
  /** Longest window of a history, in events. */
  maxLength: z.number().int().min(1).max(1_024),
  /** Of embeddings, attention weights and the feed-forward layers. */
  dropout: z.number().min(0).max(0.95),
  /** Windows per step; every event is a label of one window. */
  usersPerBatch: z.number().int().min(1).max(65_536),
  /** Adam's rate after the warm-up; it falls along a cosine to `finalLearningRateShare` of it at the last epoch. */
  learningRate: z.number().positive().max(10),
  finalLearningRateShare: z.number().min(0).max(1),
  warmupSteps: z.number().int().min(0),
  maxEpochs: z.number().int().min(1).max(10_000),
  /** Epochs without a better NDCG@10 on validation after which training stops; 0 = never stop early. */
  patience: z.number().int().min(0).max(10_000),
  /** Validation cases used during training, a seeded sample; 0 = all. */
  evaluationCases: z.number().int().min(0),
});
export type SasrecSettings = z.infer<typeof sasrecSettingsSchema>;

const SASREC_DEFAULTS: Omit<SasrecSettings, 'width'> = {
  blocks: 2,
  heads: 1,
  maxLength: 50,
  dropout: 0.5,
  usersPerBatch: 128,
  learningRate: 0.001,
  finalLearningRateShare: 1,
  warmupSteps: 100,
  maxEpochs: 60,
  patience: 5,
  evaluationCases: 5_000,
};

/** @throws InvalidConfig naming every wrong setting */
export function createSasrecSettings(
  width: number,
  overrides: Partial<SasrecSettings> = {},
): SasrecSettings {
  const parsed = sasrecSettingsSchema.safeParse({ ...SASREC_DEFAULTS, width, ...overrides });
  if (!parsed.success) {
    const faults = parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`);
    throw new InvalidConfig({ detail: `SASRec settings: ${faults.join('; ')}` });
  }
  const { width: wide, heads } = parsed.data;
  if (wide % heads !== 0) {
    throw new InvalidConfig({
      detail: `SASRec settings: ${heads} heads cannot share out a width of ${wide}; wanted a divisor of it`,
    });
  }
  return parsed.data;
}
