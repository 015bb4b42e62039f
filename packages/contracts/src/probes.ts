/** Answers of the probes: what a supervisor or a load balancer asks. */
import { z } from 'zod';

export const healthAnswerSchema = z.strictObject({ status: z.literal('ok') });
export type HealthAnswer = z.infer<typeof healthAnswerSchema>;

export const readinessChecksSchema = z.record(
  z.string(),
  z.strictObject({ ok: z.boolean(), detail: z.string() }),
);

export const readinessAnswerSchema = z.strictObject({
  ready: z.literal(true),
  checks: readinessChecksSchema,
});
export type ReadinessAnswer = z.infer<typeof readinessAnswerSchema>;
