/** Command line of `npm run bench:quality`. */
import { parseArgs } from 'node:util';
import type { ModelExit } from '@nestrec/contracts';
import { InvalidConfig, UsageError } from '@nestrec/errors';
import { PRESET_NAMES, type PresetName, type TrainingSettings } from '@nestrec/training';

export interface QualityArguments {
  readonly data: string;
  readonly features: 'minilm' | 'builtin';
  readonly sizes: number[];
  readonly blocks: number;
  readonly exits: ModelExit[] | undefined;
  readonly preset: PresetName;
  readonly overrides: Partial<TrainingSettings>;
  readonly seed: number;
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
  --seed N                    default 1
  --backend NAME              tensorflow-gpu, tensorflow, wasm or cpu (default: the first that loads)
  --protocol NAME             leave-one-out (default), temporal, or both; each one trains its own model,
                              since training must not see what its questions ask: both = twice the time
  --parts validation,test     experiments use --parts validation
  --checkpoint FILE           continue there after a kill (one protocol only)
  --out FOLDER                also write quality.json and quality.md there
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

function override(text: string): [string, unknown] {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError({ detail: `--set is "${text}"; wanted NAME=JSON` });
  try {
    return [text.slice(0, at), JSON.parse(text.slice(at + 1)) as unknown];
  } catch (cause) {
    throw new InvalidConfig({ detail: `--set ${text}: the value is not JSON`, cause });
  }
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
      seed: { type: 'string', default: '1' },
      backend: { type: 'string' },
      protocol: { type: 'string', default: 'leave-one-out' },
      parts: { type: 'string', default: 'validation,test' },
      checkpoint: { type: 'string' },
      out: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  if (values.data === undefined) throw new UsageError({ detail: '--data FOLDER is needed' });
  const protocol = choice('protocol', values.protocol, ['leave-one-out', 'temporal', 'both']);
  const overrides = Object.fromEntries(values.set.map(override)) as Partial<TrainingSettings>;
  return {
    data: values.data,
    features: choice('features', values.features, ['minilm', 'builtin']),
    sizes: values.sizes.split(',').map((size) => integer('sizes', size)),
    blocks: integer('blocks', values.blocks),
    exits: values.exits?.split(',').map((exit) => {
      const [blocks = '', dim = ''] = exit.split(':');
      return { blocks: integer('exits', blocks), dim: integer('exits', dim) };
    }),
    preset: choice('preset', values.preset, PRESET_NAMES),
    overrides: {
      ...(values.sampled ? { fullSoftmaxItems: 0 } : {}),
      ...overrides,
      ...(values.epochs === undefined ? {} : { maxEpochs: integer('epochs', values.epochs) }),
    },
    seed: integer('seed', values.seed),
    backend: values.backend ?? null,
    protocols: protocol === 'both' ? ['leave-one-out', 'temporal'] : [protocol],
    parts: values.parts.split(',').map((p) => choice('parts', p, ['validation', 'test'])),
    checkpoint: values.checkpoint ?? null,
    out: values.out ?? null,
    json: values.json,
  };
}
