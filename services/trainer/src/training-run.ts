/**
 * One training run, start to end: data out of the database, split, training, quality report, artifact,
 * candidate. Publishing is a step of its own, with a gate of its own.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  modelConfigSchema,
  type Manifest,
  type ModelConfig,
  type ModelConfigInput,
  type NamedArrays,
  type QualityRow,
  type TrainingMode,
} from '@nestrec/contracts';
import type { Database } from '@nestrec/database';
import { Spill, type Split } from '@nestrec/dataset';
import { InvalidArtifact } from '@nestrec/errors';
import { replayEvents } from '@nestrec/parameters';
import { loadArtifact, saveArtifact, type Artifact, type ManifestDraft } from '@nestrec/registry';
import { removeTemporariesOf } from '@nestrec/runtime';
import { refreshPopularity, registerVersion, weightsErasures } from '@nestrec/storage';
import {
  createTrainedModel,
  learnColdItems,
  removeCheckpoint,
  reportWithRanks,
  trainModel,
  type FillChoice,
  type LeanChoice,
  type LearnedColdItems,
  type TrainingProgress,
  type TrainingSettings,
} from '@nestrec/training';
import { evaluateCandidate } from './candidate-evaluation.js';
import { splitByProtocol } from './split-by-protocol.js';
import {
  assertSameShape,
  learnedBy,
  loadStartingPoint,
  parametersToGoOnWith,
} from './starting-point.js';
import { readTrainingData, type TrainingData } from './training-data.js';
import type { TrainingWindow } from './training-window.js';

export interface TrainingRunOptions {
  readonly db: Database;
  readonly modelsDir: string;
  /** Folder of checkpoints and of events that memory does not hold; a killed run of the same version, data and settings continues from there. */
  readonly checkpointsDir: string;
  readonly version: string;
  /** Whether this run of this version was killed before; then what stands of it is taken. */
  readonly continues?: boolean;
  /** Default: `full`. For the others `planTraining` gives a configuration and settings that fit. */
  readonly mode?: TrainingMode | undefined;
  /** The version whose parameters a run that is not `full` begins with; its artifact lies in `modelsDir` or where it was registered. Default: the published one. */
  readonly startFrom?: string | null | undefined;
  /** What of the stored events is read. Default: all, up to `DEFAULT_MAX_EVENTS_PER_USER` of each user. */
  readonly window?: TrainingWindow | undefined;
  /** Everything of the configuration but what the data decide. */
  readonly config: Omit<ModelConfigInput, 'featureWidth' | 'numItems'>;
  readonly settings: TrainingSettings;
  readonly protocol: QualityRow['protocol'];
  readonly textWidth: number;
  readonly seed: number;
  readonly commit: string | null;
  readonly onStage?: (stage: string) => void;
  readonly onProgress?: (progress: TrainingProgress) => void;
  readonly signal?: AbortSignal;
  /** More events than this are read from a file. Default: see `Spill`. */
  readonly eventsInMemory?: number;
  /** Threads that share each training step; null: as fits the backend and the machine. */
  readonly workers?: number | null;
}

const CHECKPOINT_EVERY_MS = 15_000;
const NESTREC_VERSION = '0.1.0';

/**
 * Trains a candidate and registers it.
 * @throws InsufficientData, InvalidModelConfig, InvalidArtifact (the version exists), Interrupted
 */
export async function runTraining(options: TrainingRunOptions): Promise<Manifest> {
  if (options.continues) await removeHalfWritten(options, options.version);
  const finished = await finishedBefore(options);
  if (finished !== null) {
    // It may have been killed before it came to this.
    await removeCheckpoint(checkpointOf(options));
    return finished;
  }
  const { checkpointsDir: folder, eventsInMemory } = options;
  const spill = new Spill({ folder, eventsInMemory });
  try {
    return await trainCandidate(options, spill);
  } finally {
    spill.close();
  }
}

interface TrainingFolders {
  readonly modelsDir: string;
  readonly checkpointsDir: string;
}

/**
 * Removes what a killed run was writing of a version: half an artifact, half a checkpoint. Only for versions whose
 * runs are over: one that was frozen and wakes cannot save any more.
 */
export async function removeHalfWritten(folders: TrainingFolders, version: string): Promise<void> {
  await removeTemporariesOf(join(folders.modelsDir, version));
  await removeTemporariesOf(checkpointOf({ ...folders, version }));
}

const checkpointOf = ({ checkpointsDir, version }: TrainingFolders & { version: string }) =>
  join(checkpointsDir, `${version}.safetensors`);

async function trainCandidate(options: TrainingRunOptions, spill: Spill): Promise<Manifest> {
  const { db, settings, seed, version, textWidth } = options;
  const stage = options.onStage ?? (() => {});
  const checkpoint = checkpointOf(options);
  stage('Reading interactions and items');
  const { mode = 'full', window, startFrom } = options;
  const base =
    mode === 'full'
      ? undefined
      : await loadStartingPoint({ db, modelsDir: options.modelsDir, startFrom });
  const frozenItems = mode === 'query_only';
  const data = await readTrainingData(db, { textWidth, seed, spill, window, base, frozenItems });
  // What the model will know is known to `DELETE /v1/items/{id}` from here on, published or not, and also where an
  // older nestrec stored its events, which did not note new items.
  await db.transaction((tx) => refreshPopularity(tx), { statementTimeoutMs: 0 });
  for (const name of data.ignoredModalities) {
    const text = `vectors of modality "${name}" are not used: ${base?.manifest.version} does not have it; a full training takes it in`;
    options.onProgress?.({ kind: 'note', text });
  }
  const config = modelConfigSchema.parse({
    ...options.config,
    featureWidth: data.featureWidth,
    numItems: data.dataset.itemIds.length,
  });
  if (base !== undefined) assertSameShape(config, base);
  const split = splitByProtocol(options.protocol, data.dataset);
  stage('Training');
  const trained = await trainModel({
    config,
    settings,
    split,
    features: data.features,
    seed,
    start: base && {
      parameters: await parametersToGoOnWith(base, data),
      trains: frozenItems ? 'query' : 'all',
    },
    checkpoint: {
      path: checkpoint,
      everyMs: CHECKPOINT_EVERY_MS,
      other: 'restart',
    },
    onProgress: options.onProgress,
    signal: options.signal,
    workers: options.workers,
  });
  stage('Choosing how items that are new to the model are embedded');
  const about = { config, split, data, base, parameters: trained.parameters };
  const { parameters, coldItems, learned, likeness, lean } = await withColdItems(options, about);
  stage('Measuring quality beside the baselines');
  const model = createTrainedModel(config, parameters, data.features);
  const { quality, testRanks } = reportWithRanks({
    split,
    numItems: config.numItems,
    model,
    text: data.text,
    maxLength: settings.maxLength,
  });
  stage('Comparing with the published model');
  const { itemIds } = data.dataset;
  const evaluation = await evaluateCandidate(db, { split, itemIds, testRanks, seed }, stage);
  const draft: ManifestDraft = {
    version,
    createdAt: new Date().toISOString(),
    nestrecVersion: NESTREC_VERSION,
    commit: options.commit,
    seed,
    config,
    features: data.spec,
    data: describeData(data),
    origin: base
      ? {
          ...{ mode, startedFrom: base.manifest.version },
          startErasures: weightsErasures(base.manifest),
        }
      : { mode, startedFrom: null },
    training: {
      ...{ ...settings, bestEpoch: trained.bestEpoch, steps: trained.steps },
      ...(lean === undefined ? {} : { rareItemsLean: lean.worth }),
    },
    ...(coldItems === undefined ? {} : { coldItems }),
    epochs: [...trained.epochs],
    quality,
    ...(evaluation === undefined ? {} : { evaluation }),
    lambdaMax: trained.lambdaMax,
    replayEvents: replayEvents(config, trained.lambdaMax),
  };
  stage('Saving the model');
  const manifest = await saveArtifact(options.modelsDir, {
    manifest: draft,
    parameters,
    features: data.features,
    ...{ learned, likeness },
    itemIds: data.dataset.itemIds,
    encoder: data.encoder,
  });
  await registerVersion(db, { version, manifest, path: join(options.modelsDir, version) });
  await removeCheckpoint(checkpoint);
  return manifest;
}

/**
 * A version is never overwritten, and to say so after hours of training would be late. Where a run was
 * killed after saving, only the register may be missing.
 */
async function finishedBefore({
  db,
  modelsDir,
  version,
  continues = false,
}: TrainingRunOptions): Promise<Manifest | null> {
  const path = join(modelsDir, version);
  if (!existsSync(path)) return null;
  if (!continues) {
    throw new InvalidArtifact({
      detail: `There is a model version "${version}" already; versions are never overwritten. Take another name.`,
    });
  }
  const { manifest } = await loadArtifact(path);
  await registerVersion(db, { version, manifest, path });
  return manifest;
}

function describeData(data: TrainingData): Manifest['data'] {
  const time = (ms: number) => new Date(ms).toISOString();
  return {
    users: data.dataset.offsets.length - 1,
    items: data.dataset.itemIds.length,
    interactions: data.dataset.items.length,
    from: time(data.fromMs),
    to: time(data.toMs),
    catalogueAsOf: data.catalogueAsOf,
    window: {
      since: data.sinceMs === null ? null : time(data.sinceMs),
      maxEventsPerUser: data.maxEventsPerUser === 0 ? null : data.maxEventsPerUser,
      cappedEvents: data.cappedEvents,
    },
    ...(data.unknownItemEvents === null ? {} : { unknownItemEvents: data.unknownItemEvents }),
    erasures: data.erasures,
  };
}

interface Trained {
  readonly config: ModelConfig;
  readonly split: Split;
  readonly data: TrainingData;
  readonly base: Artifact | undefined;
  readonly parameters: NamedArrays;
}

/** What the model says of items that it has not learned; one whose item side is frozen says what `base` does. */
async function withColdItems(
  { mode, settings, seed, onProgress }: TrainingRunOptions,
  { config, split, data, base, parameters }: Trained,
): Promise<LearnedColdItems> {
  if (base !== undefined && mode === 'query_only') {
    const { learned, likeness, manifest } = base;
    return { parameters, learned, likeness, coldItems: manifest.coldItems };
  }
  const { features, spec, dataset } = data;
  const result = await learnColdItems({
    ...{ config, settings, split, seed, parameters, features, spec },
    learnedBefore: base && learnedBy(base, dataset.itemIds),
  });
  if (result.lean !== undefined) onProgress?.({ kind: 'note', text: leanNote(result.lean) });
  if (result.choice !== undefined) onProgress?.({ kind: 'note', text: fillNote(result.choice) });
  return result;
}

const meanOf = (values: readonly number[]) =>
  (values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(4);

/** How much items with few events lean on items like them, in a line. */
function leanNote({ worth, items, cases, measured }: LeanChoice): string {
  const who = `${items} items with few events`;
  if (measured === null) return `${who} stay as learned: ${cases} validation events are too few`;
  const how = worth === 0 ? 'stay as learned' : `lean on items like them as by ${worth} events`;
  const { trained, chosen } = measured;
  return `${who} ${how}; mean NDCG@10 of ${cases} validation events ${meanOf(chosen)} (as trained ${meanOf(trained)})`;
}

/** How items that the model has not learned are filled, in a line. */
function fillNote({ strength, threshold, cases, measured }: FillChoice): string {
  const how = `items that are new to the model: strength ${strength}, threshold ${threshold}`;
  if (measured === null) return `${how}, untried: ${cases} events of held-out items are too few`;
  const { without, chosen } = measured;
  return (
    `${how}; mean NDCG@10 of ${cases} events of learned items treated as new ${meanOf(chosen.heldOut)} ` +
    `(without fill ${meanOf(without.heldOut)}), of others ${meanOf(chosen.others)} (${meanOf(without.others)})`
  );
}
