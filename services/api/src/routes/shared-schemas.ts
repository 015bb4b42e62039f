/** Schemas that several routes share: ids in paths, and what every ranked list takes and gives. */
import {
  DEFAULT_K,
  idSchema,
  manifestSchema,
  MAX_K,
  recommendationsAnswerSchema,
  scopeSchema,
  tierSchema,
} from '@nestrec/contracts';
import { DimensionNotAllowed, NoPublishedModel, Overloaded } from '@nestrec/errors';
import { z } from 'zod';
import type { Access, AnswerSpec } from '../http/route.js';

/** Any valid key. */
export const ANY_KEY: Extract<Access, { kind: 'scopes' }> = {
  kind: 'scopes',
  anyOf: scopeSchema.options,
};

export const scopes = (...anyOf: z.infer<typeof scopeSchema>[]) =>
  ({ kind: 'scopes', anyOf }) as const;

export const idParams = z.strictObject({ id: idSchema });
export const tierParams = z.strictObject({ name: tierSchema.shape.name });
export const versionParams = z.strictObject({ version: manifestSchema.shape.version });

/** A row's number; as text, since JSON numbers lose digits. */
export const trainingRunParams = z.strictObject({ id: z.string().regex(/^[1-9]\d{0,17}$/) });

const MAX_TOKEN_CHARACTERS = 2_048;

export const rankingQuery = {
  k: z
    .number()
    .int()
    .min(1)
    .max(MAX_K)
    .optional()
    .describe(`How many items; at most the tier's max_k. Default: ${DEFAULT_K} (or max_k).`),
  dim: z
    .number()
    .int()
    .min(1)
    .max(4_096)
    .optional()
    .describe('One of the sizes of the model. Default: the greatest that the tier allows.'),
  explain: z
    .boolean()
    .optional()
    .describe('true: the answer says how the list was found; the search runs twice for it.'),
};

export const excludeSeenQuery = z
  .boolean()
  .default(true)
  .describe('Leave out items that the user has had already.');

export const afterQuery = z
  .string()
  .min(1)
  .max(MAX_TOKEN_CHARACTERS)
  .optional()
  .describe('A token of POST /v1/events: wait until those events are in the state.');

/** Characters of a filter as JSON in the URL; longer ones go by POST. */
const MAX_FILTER_CHARACTERS = 4_096;

export const filterQuery = z
  .string()
  .min(1)
  .max(MAX_FILTER_CHARACTERS)
  .optional()
  .describe('A filter as JSON text, the same as in the body of POST.');

export const rankedAnswer: Record<200, AnswerSpec> = {
  200: { description: 'The ranked list and what served it.', schema: recommendationsAnswerSchema },
};

export const rankingErrors = [NoPublishedModel, DimensionNotAllowed, Overloaded] as const;
