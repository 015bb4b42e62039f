/**
 * From what was asked for to what a run is given: configuration and settings, and for a run that begins
 * with another version's parameters, that version. Whoever starts runs (command, cron) asks here first.
 */
import {
  modelConfigSchema,
  type ModelConfigInput,
  type ModelExit,
  type TrainingMode,
} from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';
import { InvalidConfig, ModelNotFound, NoPublishedModel } from '@nestrec/errors';
import { getPublished, getVersion } from '@nestrec/storage';
import {
  createSettings,
  modelSwitches,
  warmStartSettings,
  type PresetName,
  type TrainingSettings,
} from '@nestrec/training';

export interface TrainingRequest {
  readonly mode: TrainingMode;
  /** Only for modes other than `full`. Default: the published version. */
  readonly startFrom?: string | undefined;
  readonly preset: PresetName;
  /** Default: those of the version to begin with; for `full` `DEFAULT_SIZES` and one block. */
  readonly sizes?: readonly number[] | undefined;
  readonly blocks?: number | undefined;
  /** Default: those of the version to begin with; for `full` none. */
  readonly exits?: readonly ModelExit[] | undefined;
  /** Replaces single settings of the preset. */
  readonly overrides?: Partial<TrainingSettings> | undefined;
}

/** The fields of `TrainingRunOptions` of these names. */
export interface TrainingPlan {
  readonly mode: TrainingMode;
  readonly startFrom: string | null;
  readonly config: Omit<ModelConfigInput, 'featureWidth' | 'numItems'>;
  readonly settings: TrainingSettings;
}

export const DEFAULT_SIZES: readonly number[] = [8, 16, 32, 64, 128];
const DEFAULT_BLOCKS = 1;

/**
 * @throws NoPublishedModel, ModelNotFound where there is nothing to begin with; InvalidConfig where what
 *   was asked for does not fit it, with the cure
 */
export async function planTraining(db: Queryable, request: TrainingRequest): Promise<TrainingPlan> {
  const { mode, preset, overrides = {} } = request;
  if (mode === 'full') {
    const sizes = [...(request.sizes ?? DEFAULT_SIZES)];
    const blocks = request.blocks ?? DEFAULT_BLOCKS;
    const config = withExits({ ...modelSwitches(preset), sizes, blocks }, request.exits);
    return { mode, startFrom: null, config, settings: createSettings(preset, sizes, overrides) };
  }
  const startFrom = request.startFrom ?? (await publishedVersion(db));
  const base = await getVersion(db, startFrom);
  if (base === null) {
    throw new ModelNotFound({
      detail: `version ${startFrom} is not known here, so nothing can begin with its parameters; \`nestrec model list\` shows what there is`,
    });
  }
  const { config } = base.manifest;
  assertFits(request, config, startFrom);
  const settings = warmStartSettings(createSettings(preset, config.sizes), mode);
  const changed = createSettings(preset, config.sizes, { ...settings, ...overrides });
  return { mode, startFrom, config: withExits(config, request.exits), settings: changed };
}

/**
 * The configuration with other exits; as it is where nothing is said. Parameters do not depend on them.
 * @throws InvalidConfig for exits that such a model cannot have
 */
function withExits(
  config: TrainingPlan['config'],
  exits: readonly ModelExit[] | undefined,
): TrainingPlan['config'] {
  if (exits === undefined) return config;
  const changed = { ...config };
  delete changed.exits;
  if (exits.length === 0) return changed;
  changed.exits = [...exits];
  const parsed = modelConfigSchema.safeParse({ ...changed, featureWidth: 1, numItems: 1 });
  if (parsed.success) return changed;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new InvalidConfig({
    detail: `${faults.join('; ')}; the model has ${changed.blocks} blocks and the sizes ${changed.sizes.join(', ')}`,
  });
}

async function publishedVersion(db: Queryable): Promise<string> {
  const pointer = await getPublished(db);
  if (pointer !== null) return pointer.version;
  throw new NoPublishedModel({
    detail:
      'there is no published version to begin with; train in full and publish, or name a version',
  });
}

function assertFits(
  { sizes, blocks }: TrainingRequest,
  base: TrainingPlan['config'],
  startFrom: string,
): void {
  const faults: string[] = [];
  if (sizes !== undefined && sizes.join() !== base.sizes.join()) {
    faults.push(`sizes: got ${sizes.join(', ')}, ${startFrom} has ${base.sizes.join(', ')}`);
  }
  if (blocks !== undefined && blocks !== base.blocks) {
    faults.push(`blocks: got ${blocks}, ${startFrom} has ${base.blocks}`);
  }
  if (faults.length === 0) return;
  throw new InvalidConfig({
    detail: `${faults.join('; ')}: leave them out to go on with ${startFrom}, or train in full for another model`,
  });
}
