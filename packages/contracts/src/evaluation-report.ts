/**
 * The report of `nestrec evaluate --report`: `report.json`. Means with intervals and counts, no case of any user, so
 * that a report may outlive an erasure. docs/evaluation.md says what each figure means.
 */
import { z } from 'zod';
import { estimateSchema } from './evaluation.js';
import { epochRecordSchema } from './manifest.js';
import { indexMeasurementSchema } from './publish-reports.js';
import { trainingModeSchema } from './training-runs.js';

export const EVALUATION_REPORT_FORMAT_VERSION = 1;

const protocolSchema = z.enum(['leave-one-out', 'temporal']);
const dimSchema = z.number().int().min(1);
const countSchema = z.number().int().min(0);

/** A scorer's name: `model@64` with the size 64, or a baseline with none. */
const scorerShape = { scorer: z.string(), dim: dimSchema.nullable() };

const reportedScorerSchema = z.strictObject({
  ...scorerShape,
  kind: z.enum(['model', 'baseline']),
  /** What it goes by, in words. */
  about: z.string(),
});

/** All metrics of one scorer, each with its interval: `ndcg@10`, `recall@10`, `mrr@10`, ... */
const scorerQualitySchema = z.strictObject({
  ...scorerShape,
  seenMasked: z.boolean(),
  metrics: z.record(z.string(), estimateSchema),
});

/** The model at one size minus a baseline, case by case. */
const comparisonSchema = z.strictObject({
  dim: dimSchema,
  baseline: z.string(),
  seenMasked: z.boolean(),
  ndcg10: estimateSchema,
  recall10: estimateSchema,
});

/** What one size is worth and costs; seen items masked. */
export const reportedSizeSchema = z.strictObject({
  dim: dimSchema,
  /** Of one item vector: float32, without what an index adds. */
  bytesPerItem: z.number().int().min(1),
  /** NDCG@10. */
  ndcg10: estimateSchema,
  /** NDCG@10 divided by that of the whole model, on the same draws; null where that is 0. */
  shareOfFull: estimateSchema.nullable(),
  /** NDCG@10 minus that of the next smaller size; null for the smallest. */
  overSmaller: estimateSchema.nullable(),
  /** Milliseconds to score the catalogue for one query and to take its first ten: see `latency`. */
  medianMs: z.number().min(0),
  p95Ms: z.number().min(0),
});
export type ReportedSize = z.infer<typeof reportedSizeSchema>;

/** Some of the cases, seen items masked. */
export const reportedGroupSchema = z.strictObject({
  name: z.string(),
  label: z.string(),
  cases: countSchema,
  users: countSchema,
  /** Null where there are fewer users than `method.minUsers`: a mean of so few is chance, and tells of them. */
  scorers: z
    .array(z.strictObject({ ...scorerShape, ndcg10: estimateSchema, recall10: estimateSchema }))
    .nullable(),
});
export type ReportedGroup = z.infer<typeof reportedGroupSchema>;

const breakdownSchema = z.strictObject({
  by: z.enum(['history_length', 'target_popularity', 'day']),
  groups: z.array(reportedGroupSchema),
});

/** What the lists of ten are like, seen items masked. */
const listsSchema = z.strictObject({
  ...scorerShape,
  /** Share of the catalogue that is shown to anybody. */
  coverage: z.number(),
  /** Of how often each item is shown; 0: all alike, near 1: a few items all the time. */
  gini: z.number(),
  /** Mean number of training events of a shown item. */
  popularity: estimateSchema,
  /** Mean of 1 - cosine over the pairs of a list. */
  diversity: estimateSchema,
});

/** One size under several trainings of different seeds; NDCG@10, seen items masked. */
const seedsOfSizeSchema = z.strictObject({
  dim: dimSchema,
  /** In the order of `versions`. */
  ndcg10: z.array(z.number()),
  mean: z.number(),
  /** Sample standard deviation over the seeds. */
  deviation: z.number(),
  /** Mean over the seeds of each case, minus the baseline. */
  overBaselines: z.array(z.strictObject({ baseline: z.string(), ndcg10: estimateSchema })),
});

export const evaluationReportSchema = z.strictObject({
  formatVersion: z.literal(EVALUATION_REPORT_FORMAT_VERSION),
  /** RFC 3339. */
  createdAt: z.string(),
  nestrecVersion: z.string(),
  /** Seconds that measuring took. */
  seconds: z.number(),
  model: z.strictObject({
    version: z.string(),
    createdAt: z.string(),
    seed: z.number().int(),
    sizes: z.array(dimSchema),
    /** What was held out from its training. */
    protocol: protocolSchema,
    /** Null in older models and slices. */
    mode: trainingModeSchema.nullable(),
    /** The version whose parameters it began with. */
    startedFrom: z.string().nullable(),
  }),
  data: z.strictObject({
    protocol: protocolSchema,
    /** Cuts of the temporal protocol. */
    validationFrom: z.string().nullable(),
    testFrom: z.string().nullable(),
    users: countSchema,
    items: countSchema,
    trainEvents: countSchema,
    /** Cases that were asked, and whose they are. */
    cases: countSchema,
    askedUsers: countSchema,
    /** Cases left out because the model was trained on their target. */
    trainedOnCases: countSchema,
    /** Cases left out by the sample. */
    droppedBySample: countSchema,
    /** Events left out because the model does not know their item. */
    unknownItemEvents: countSchema,
    /** Events that came after the training of the model. */
    newerEvents: countSchema,
    /** Events left out because no training event has their item (temporal). */
    untrainedItemEvents: countSchema,
  }),
  method: z.strictObject({
    resamples: z.number().int().min(1),
    /** Share of the resamples within an interval. */
    level: z.number(),
    /** Of the draws. */
    seed: z.number().int(),
    minUsers: countSchema,
    /** Cases whose lists were looked at. */
    listCases: countSchema,
    listLength: z.number().int().min(1),
    diversityBy: z.enum(['text', 'item_vectors']),
    /** Which events a cold user is known by: the first ones, or the newest where training saw the first. */
    coldEvents: z.enum(['first', 'newest']),
  }),
  scorers: z.array(reportedScorerSchema),
  quality: z.array(scorerQualitySchema),
  comparisons: z.array(comparisonSchema),
  sizes: z.array(reportedSizeSchema).min(1),
  /** Early exits at their sizes, seen items masked; absent where the model has none. */
  exits: z
    .array(
      z.strictObject({
        blocks: z.number().int().min(1),
        dim: dimSchema,
        ndcg10: estimateSchema,
        recall10: estimateSchema,
        /** NDCG@10 minus that of the full depth at the same size, case by case. */
        overFull: estimateSchema,
      }),
    )
    .optional(),
  latency: z.strictObject({
    /** What was measured, in words. */
    about: z.string(),
    items: countSchema,
    queries: countSchema,
  }),
  /** How the sizes are searched in the database, as publishing measured it; empty where it did not. */
  served: z.array(indexMeasurementSchema),
  breakdowns: z.array(breakdownSchema),
  /** By the number of events known. */
  coldStart: z.array(z.strictObject({ events: countSchema, group: reportedGroupSchema })),
  lists: z.strictObject({
    /** Mean number of training events of the targets of the same cases: what people took. */
    targetPopularity: estimateSchema,
    scorers: z.array(listsSchema),
  }),
  /** Other trainings on the same data; null where none was named. */
  seeds: z
    .strictObject({
      versions: z.array(z.strictObject({ version: z.string(), seed: z.number().int() })),
      sizes: z.array(seedsOfSizeSchema),
    })
    .nullable(),
  /** Epochs of its training; null in older models and slices. */
  epochs: z.array(epochRecordSchema).nullable(),
});
export type EvaluationReport = z.infer<typeof evaluationReportSchema>;
