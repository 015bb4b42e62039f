/**
 * From what was asked for to what a run is given: configuration and settings, and for a run that begins
 * with another version's parameters, that version. Whoever starts runs (command, cron) asks here first.
 */
import type { ModelConfigInput, TrainingMode } from '@nestrec/contracts';
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
    const config = { ...modelSwitches(preset), sizes, blocks: request.blocks ?? DEFAULT_BLOCKS };
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
  return { mode, startFrom, config, settings: changed };
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
