/** The evaluation report of a saved model, on what the database holds now. Needs a TensorFlow.js backend. */
import {
  EVALUATION_REPORT_FORMAT_VERSION,
  evaluationReportSchema,
  type EvaluationReport,
  type Manifest,
  type QualityRow,
} from '@nestrec/contracts';
import type { Database } from '@nestrec/database';
import { Spill, type SpillOptions, type Split } from '@nestrec/dataset';
import { InvalidInput } from '@nestrec/errors';
import { loadArtifact, type Artifact } from '@nestrec/registry';
import { newestPublishReport } from '@nestrec/storage';
import { createTrainedModel, measureReport, type OtherTraining } from '@nestrec/training';
import { noTestCase } from './evaluation-run.js';
import { textBlock } from './item-features.js';
import { readKnownEvents } from './known-events.js';
import { countNewer, cutsOf, protocolOf, trainedEnds } from './manifest-split.js';
import { maxLengthOf } from './published-ranks.js';
import { splitByProtocol } from './split-by-protocol.js';

export interface ReportRunOptions {
  /** Default: what was held out from the model's training. */
  readonly protocol?: QualityRow['protocol'] | undefined;
  /** Folders of trainings on the same data with other seeds. */
  readonly seedPaths?: readonly string[];
  /** Widths of SASRec baselines, each trained for the report. */
  readonly sasrecWidths?: readonly number[];
  /** Where events go that are too many for memory. */
  readonly spill: SpillOptions;
  readonly onStage?: (stage: string) => void;
}

/**
 * Asks what the model was not trained on. A temporal model is asked behind the cuts of its own training, so that the
 * baselines know what it knows.
 *
 * @throws InsufficientData where nothing is left to ask; InvalidInput for trainings that cannot be compared;
 *   InputNotFound and InvalidArtifact for those that cannot be read
 */
export async function runEvaluationReport(
  db: Database,
  artifact: Artifact,
  options: ReportRunOptions,
): Promise<EvaluationReport> {
  const spill = new Spill(options.spill);
  try {
    return await report(db, artifact, options, spill);
  } finally {
    spill.close();
  }
}

async function report(
  db: Database,
  artifact: Artifact,
  options: ReportRunOptions,
  spill: Spill,
): Promise<EvaluationReport> {
  const startedMs = performance.now();
  const { manifest, itemIds } = artifact;
  const others = await openableTrainings(manifest, options.seedPaths ?? []);
  options.onStage?.('Reading interactions');
  const { dataset, unknownItemEvents } = await readKnownEvents(db, itemIds, spill);
  const own = protocolOf(manifest);
  const protocol = options.protocol ?? own;
  const split = splitByProtocol(protocol, dataset, protocol === own ? cutsOf(manifest) : undefined);
  if (split.report.testCases === 0) throw noTestCase(protocol, dataset);
  const { config, features: spec } = manifest;
  const model = createTrainedModel(config, artifact.parameters, artifact.features);
  try {
    const { counts, ...measured } = await measureReport({
      ...{ dataset, split, model, others, onStage: options.onStage },
      sasrecWidths: options.sasrecWidths ?? [],
      ...{ version: manifest.version, seed: manifest.seed, maxLength: maxLengthOf(manifest) },
      text: textBlock(artifact.features, config.featureWidth, spec),
      trainedEnd: trainedEnds(manifest, dataset),
    });
    const publish = await newestPublishReport(db, manifest.version);
    return evaluationReportSchema.parse({
      ...measured,
      formatVersion: EVALUATION_REPORT_FORMAT_VERSION,
      createdAt: new Date().toISOString(),
      nestrecVersion: manifest.nestrecVersion,
      seconds: (performance.now() - startedMs) / 1_000,
      model: describeModel(manifest),
      data: {
        ...describeSplit(split, itemIds.length),
        ...counts,
        unknownItemEvents,
        newerEvents: countNewer(manifest, dataset),
      },
      served: publish?.outcome === 'published' ? publish.indexes : [],
      epochs: manifest.epochs ?? null,
    } satisfies EvaluationReport);
  } finally {
    model.dispose();
  }
}

const describeModel = (manifest: Manifest): EvaluationReport['model'] => ({
  version: manifest.version,
  createdAt: manifest.createdAt,
  seed: manifest.seed,
  sizes: [...manifest.config.sizes],
  protocol: protocolOf(manifest),
  mode: manifest.origin?.mode ?? null,
  startedFrom: manifest.origin?.startedFrom ?? null,
});

function describeSplit({ report: split }: Split, items: number) {
  const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  return {
    protocol: split.protocol,
    validationFrom: time(split.validationFromMs),
    testFrom: time(split.testFromMs),
    ...{ users: split.users, items, trainEvents: split.trainEvents },
    droppedBySample: split.droppedBySample,
    untrainedItemEvents: split.droppedUnknownEvents,
  };
}

/** Loads each twice over its life: now to refuse before hours of work, and when its turn comes. */
async function openableTrainings(
  manifest: Manifest,
  paths: readonly string[],
): Promise<OtherTraining[]> {
  const seeds = new Map([[manifest.seed, manifest.version]]);
  const others: OtherTraining[] = [];
  for (const path of paths) {
    const { manifest: other } = await loadArtifact(path);
    const reason = whyNotComparable(manifest, other) ?? sameSeed(seeds, other);
    if (reason !== null) {
      throw new InvalidInput({
        detail:
          `${other.version} is no other seed of ${manifest.version}: ${reason}. Wanted trainings that ` +
          'differ in --seed alone, on the same events.',
      });
    }
    seeds.set(other.seed, other.version);
    others.push({
      ...{ version: other.version, seed: other.seed, maxLength: maxLengthOf(other) },
      open: async () => {
        const { manifest: opened, parameters, features } = await loadArtifact(path);
        return createTrainedModel(opened.config, parameters, features);
      },
    });
  }
  return others;
}

function sameSeed(seeds: ReadonlyMap<number, string>, { seed }: Manifest): string | null {
  const version = seeds.get(seed);
  return version === undefined ? null : `${version} has the seed ${seed} too`;
}

function whyNotComparable(one: Manifest, other: Manifest): string | null {
  const differing = Object.entries({
    'other items': [one.itemIdsSha256, other.itemIdsSha256],
    'other sizes': [one.config.sizes.join(), other.config.sizes.join()],
    'other events': [eventsOf(one), eventsOf(other)],
    'another protocol': [protocolOf(one), protocolOf(other)],
  }).find(([, [mine, theirs]]) => mine !== theirs);
  return differing === undefined ? null : `it was trained on or with ${differing[0]}`;
}

const eventsOf = ({ data: { interactions, from, to } }: Manifest) =>
  [interactions, from, to].join();
