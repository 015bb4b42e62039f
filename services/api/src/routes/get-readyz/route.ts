/** GET /readyz: whether the next request will find what it needs, check by check. */
import { problemSchema, readinessAnswerSchema, readinessChecksSchema } from '@nestrec/contracts';
import { NotReady } from '@nestrec/errors';
import { z } from 'zod';
import { problemHeaders, problemOf } from '../../http/problem.js';
import { defineOpenRoute } from '../../http/route.js';

export const getReadyz = defineOpenRoute({
  method: 'get',
  path: '/readyz',
  summary: 'Readiness',
  description: 'Verdicts are kept for a second. 503 is a problem with the checks beside it.',
  access: { kind: 'public' },
  answers: {
    200: { description: 'Ready.', schema: readinessAnswerSchema },
    503: {
      description: 'Not ready: which check failed.',
      schema: z.strictObject({ ...problemSchema.shape, checks: readinessChecksSchema }),
      problem: true,
    },
  },
  errors: [],
  async handler(_input, { readiness, requestId }) {
    const checks = await readiness();
    const failed = Object.keys(checks).filter((name) => !checks[name]!.ok);
    if (failed.length === 0) return { status: 200, body: { ready: true, checks } };
    const reasons = failed.map((name) => `${name}: ${checks[name]!.detail}`).join('; ');
    const error = new NotReady({ detail: `Not ready yet. ${reasons}.` });
    return {
      status: 503,
      body: { ...problemOf(error, requestId), checks },
      headers: problemHeaders(error),
    };
  },
});
