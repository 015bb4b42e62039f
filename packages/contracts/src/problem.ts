/** Errors as clients see them: application/problem+json (RFC 9457) with our code and field faults. */
import { z } from 'zod';

export const problemSchema = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  code: z.string(),
  detail: z.string(),
  errors: z.array(z.strictObject({ path: z.string(), got: z.string(), want: z.string() })),
  request_id: z.string(),
});
export type Problem = z.infer<typeof problemSchema>;
