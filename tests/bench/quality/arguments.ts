/** Command line of `npm run bench:quality`. */
import { parseArgs } from 'node:util';
import type { ModelExit } from '@nestrec/contracts';
import { InvalidConfig, UsageError } from '@nestrec/errors';
import {
  PRESET_NAMES,
  type ModelSwitches,
  type PresetName,
  type SasrecSettings,
  type TrainingSettings,
} from '@nestrec/training';

export interface QualityArguments {
  readonly data: string;
  readonly features: 'minilm' | 'builtin';
  readonly sizes: number[];
  readonly blocks: number;
  readonly exits: ModelExit[] | undefined;
  readonly preset: PresetName;
  readonly overrides: Partial<TrainingSettings>;
  readonly modelOverrides: Partial<ModelSwitches>;
  readonly seed: number;
  /** Widths of SASRec baselines. */
  readonly sasrec: number[];
  readonly sasrecOverrides: Partial<SasrecSettings>;
  /** No nested model is trained. */
  readonly onlyBaselines: boolean;
  /** Sizes that are also trained alone; empty: the usual tables. */
  readonly alone: number[];
  /** Of the trainings with and without the ladder. */
  readonly seeds: number[];
  readonly backend: string | null;
  readonly protocols: readonly ('leave-one-out' | 'temporal')[];
  /** Experiments look at validation only, so that nothing can be tuned on test items. */
  readonly parts: readonly ('validation' | 'test')[];
  readonly checkpoint: string | null;
  readonly out: string | null;
  readonly json: boolean;
}

export const USAGE = `npm run bench:quality -- --data FOLDER [options]

Trains on Amazon Beauty (sequences.txt, timestamps.txt, items.jsonl, text-minilm-l6.f16.safetensors in
FOLDER) and prints the quality table of every size beside the baselines.

  --features minilm|builtin   item text features (default minilm; builtin needs no vectors)
  --sizes 16,32,64,128        nested sizes
  --blocks 1                  recurrent blocks
  --exits 1:64,2:128          early exits: after so many blocks, trained at sizes up to that (default none)
  --preset NAME               ${PRESET_NAMES.join(', ')} (default quality)
  --epochs N                  most epochs (default: the preset's)
  --sampled                   sampled softmax, however few items there are (fullSoftmaxItems = 0)
  --set NAME=JSON             replaces one training setting; may be repeated
  --set-model NAME=JSON       replaces one part of the model (itemResidual, scoreScale, rMin, rMax); may be repeated
  --seed N                    default 1
  --backend NAME              tensorflow-gpu, tensorflow, wasm or cpu (default: the first that loads)
  --protocol NAME             leave-one-out (default), temporal, or both; each one trains its own model,
                              since training must not see what its questions ask: both = twice the time
  --parts validation,test     experiments use --parts validation
  --checkpoint FILE           continue there after a kill (one protocol only)
  --baselines sasrec:16,sasrec:64
                              also train SASRec of these widths (long: it is asked for or not done)
  --set-sasrec NAME=JSON      replaces one of SASRec's settings; may be repeated
  --only-baselines            train no nested model
  --alone 16,32               train the ladder and each of these sizes alone, by the same recipe, for every
                              seed, and print what share of the test NDCG@10 of the size alone the ladder
                              has there, with a bootstrap interval by user; needs --out
  --seeds 1,2,3               of --alone (default: --seed)
  --out FOLDER                also write quality.json and quality.md there; trainings of SASRec and of
                              --alone are kept there: the same command goes on after a kill, and what is
                              done is not trained again
  --json                      one JSON document on stdout, progress on stderr
`;

function integer(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) {
    throw new UsageError({ detail: `--${name} is "${text}"; wanted a whole number` });
  }
  return value;
}

function choice<T extends string>(name: string, text: string, choices: readonly T[]): T {
  const found = choices.find((c) => c === text);
  if (found === undefined) {
    throw new UsageError({ detail: `--${name} is "${text}"; wanted ${choices.join(' or ')}` });
  }
  return found;
}

/** Settings of `NAME=JSON` each; which there are is for the settings to say. */
function overridesOf<T>(option: string, texts: readonly string[]): Partial<T> {
  const entries = texts.map((text): [string, unknown] => {
    const at = text.indexOf('=');
    if (at < 1) throw new UsageError({ detail: `--${option} is "${text}"; wanted NAME=JSON` });
    try {
      return [text.slice(0, at), JSON.parse(text.slice(at + 1)) as unknown];
    } catch (cause) {
      throw new InvalidConfig({ detail: `--${option} ${text}: the value is not JSON`, cause });
    }
  });
  return Object.fromEntries(entries) as Partial<T>;
}

const MODEL_PARTS = ['itemResidual', 'scoreScale', 'rMin', 'rMax'];

function modelOverridesOf(texts: readonly string[]): Partial<ModelSwitches> {
  const overrides = overridesOf<ModelSwitches>('set-model', texts);
  for (const name of Object.keys(overrides)) choice('set-model', name, MODEL_PARTS);
  return overrides;
}

/** Widths of `sasrec:16,sasrec:64`. */
function sasrecWidths(text: string): number[] {
  return text.split(',').map((name) => {
    const width = /^sasrec:(\d+)$/.exec(name)?.[1];
    if (width === undefined) {
      throw new UsageError({ detail: `--baselines has "${name}"; wanted sasrec:WIDTH` });
    }
    return integer('baselines', width);
  });
}

const integers = (name: string, text: string) =>
  text.split(',').map((value) => integer(name, value));

/** Options that only mean something beside others. */
function requireTogether(values: {
  readonly alone?: string | undefined;
  readonly out?: string | undefined;
  readonly seeds?: string | undefined;
  readonly baselines?: string | undefined;
  readonly checkpoint?: string | undefined;
  readonly 'only-baselines': boolean;
  readonly 'set-sasrec': readonly string[];
}): void {
  const { alone, out, seeds, baselines, checkpoint } = values;
  const refuse = (detail: string) => {
    throw new UsageError({ detail });
  };
  if (alone === undefined && seeds !== undefined) refuse('--seeds belongs to --alone');
  if (baselines === undefined && values['set-sasrec'].length > 0)
    refuse('--set-sasrec belongs to --baselines sasrec:WIDTH');
  if (alone === undefined) return;
  if (out === undefined)
    refuse('--alone trains many models: name the folder that keeps them, --out FOLDER');
  if (baselines !== undefined || checkpoint !== undefined || values['only-baselines'])
    refuse(
      '--alone prints a table of its own: without --baselines, --only-baselines, --checkpoint',
    );
}

/** Null when help was asked for. */
export function parseArguments(argv: readonly string[]): QualityArguments | null {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      data: { type: 'string' },
      features: { type: 'string', default: 'minilm' },
      sizes: { type: 'string', default: '16,32,64,128' },
      blocks: { type: 'string', default: '1' },
      exits: { type: 'string' },
      preset: { type: 'string', default: 'quality' },
      epochs: { type: 'string' },
      sampled: { type: 'boolean', default: false },
      set: { type: 'string', multiple: true, default: [] },
      'set-model': { type: 'string', multiple: true, default: [] },
      seed: { type: 'string', default: '1' },
      backend: { type: 'string' },
      protocol: { type: 'string', default: 'leave-one-out' },
      parts: { type: 'string', default: 'validation,test' },
      checkpoint: { type: 'string' },
      baselines: { type: 'string' },
      'set-sasrec': { type: 'string', multiple: true, default: [] },
      'only-baselines': { type: 'boolean', default: false },
      alone: { type: 'string' },
      seeds: { type: 'string' },
      out: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  if (values.data === undefined) throw new UsageError({ detail: '--data FOLDER is needed' });
  const protocol = choice('protocol', values.protocol, ['leave-one-out', 'temporal', 'both']);
  requireTogether(values);
  const seed = integer('seed', values.seed);
  return {
    data: values.data,
    features: choice('features', values.features, ['minilm', 'builtin']),
    sizes: integers('sizes', values.sizes),
    blocks: integer('blocks', values.blocks),
    exits: values.exits?.split(',').map((exit) => {
      const [blocks = '', dim = ''] = exit.split(':');
      return { blocks: integer('exits', blocks), dim: integer('exits', dim) };
    }),
    preset: choice('preset', values.preset, PRESET_NAMES),
    overrides: {
      ...(values.sampled ? { fullSoftmaxItems: 0 } : {}),
      ...overridesOf<TrainingSettings>('set', values.set),
      ...(values.epochs === undefined ? {} : { maxEpochs: integer('epochs', values.epochs) }),
    },
    modelOverrides: modelOverridesOf(values['set-model']),
    seed,
    sasrec: values.baselines === undefined ? [] : sasrecWidths(values.baselines),
    sasrecOverrides: overridesOf<SasrecSettings>('set-sasrec', values['set-sasrec']),
    onlyBaselines: values['only-baselines'],
    alone: values.alone === undefined ? [] : integers('alone', values.alone),
    seeds: values.seeds === undefined ? [seed] : integers('seeds', values.seeds),
    backend: values.backend ?? null,
    protocols: protocol === 'both' ? ['leave-one-out', 'temporal'] : [protocol],
    parts: values.parts.split(',').map((p) => choice('parts', p, ['validation', 'test'])),
    checkpoint: values.checkpoint ?? null,
    out: values.out ?? null,
    json: values.json,
  };
}
