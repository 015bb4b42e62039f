/** Options of commands that train: how each is called, and what it takes. */
import { InvalidArgumentError, type Command } from 'commander';
import { modelExitSchema, type ModelExit } from '@nestrec/contracts';
import { PRESET_NAMES } from '@nestrec/training';

export const PROTOCOLS = ['leave-one-out', 'temporal'] as const;

export function parseSizes(text: string): number[] {
  const sizes = text.split(',').map((size) => Number(size.trim()));
  const valid = sizes.every(
    (size, i) => Number.isInteger(size) && size > (sizes[i - 1] ?? 0) && size <= 2_000,
  );
  if (!valid) {
    throw new InvalidArgumentError('wanted increasing sizes from 1 to 2000, such as 8,16,32,64.');
  }
  return sizes;
}

/** `1:64,2:128`: after 1 block at sizes up to 64, after 2 at sizes up to 128. */
export function parseExits(text: string): ModelExit[] {
  if (text === 'none') return [];
  return text.split(',').map((exit) => {
    const [, blocks, dim] = /^\s*(\d{1,2}):(\d{1,4})\s*$/.exec(exit) ?? [];
    const parsed = modelExitSchema.safeParse({ blocks: Number(blocks), dim: Number(dim) });
    if (parsed.success) return parsed.data;
    throw new InvalidArgumentError('wanted BLOCKS:SIZE, such as 1:64 or 1:32,2:64, or none.');
  });
}

export const EXITS_HELP =
  'early exits that are trained too, as BLOCKS:SIZE: after so many blocks, at sizes up to that; or none';

export function count(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`wanted an integer from ${least} to ${most}.`);
  };
}

export function choice<const T extends string>(choices: readonly T[]): (text: string) => T {
  return (text) => {
    const found = choices.find((one) => one === text);
    if (found === undefined) throw new InvalidArgumentError(`wanted one of ${choices.join(', ')}.`);
    return found;
  };
}

/** What of a retraining may differ from the published model; nothing has a default here. */
export function addRetrainOptions(command: Command): Command {
  return command
    .option('--preset <name>', `settings: ${PRESET_NAMES.join(', ')}`, choice(PRESET_NAMES))
    .option('--sizes <list>', 'nested sizes, the last is the whole model', parseSizes)
    .option('--blocks <number>', 'LRU blocks', count(1, 16))
    .option('--exits <list>', EXITS_HELP, parseExits)
    .option('--epochs <number>', 'epochs at most', count(1, 10_000))
    .option('--seed <number>', 'seed of everything random', count(0, 2 ** 31 - 1))
    .option('--protocol <name>', `what is held out: ${PROTOCOLS.join(', ')}`, choice(PROTOCOLS))
    .option('--text-width <number>', 'width of the built-in text vectors', count(1, 1_024))
    .option('--start-from <version>', 'what modes other than full begin with')
    .option('--window-days <number>', 'only events of the last days', count(1, 36_500))
    .option(
      '--max-events-per-user <number>',
      'only the newest of each user; 0 = all',
      count(0, 1_000_000),
    );
}
