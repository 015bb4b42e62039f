/** The command that runs a chaos run again as it was: the same seed, and all that its numbers follow from. */
import type { Build, ChaosOptions } from './context.js';

export function reproduction(runId: string, build: Build, options: ChaosOptions): string {
  return [
    `npm run test:chaos -- --only ${runId}`,
    build === 'broken' ? '--only-twins' : '--no-twins',
    `--seed ${options.seed}`,
    ...(options.ci ? ['--ci'] : []),
    ...(options.kills === null ? [] : [`--kills ${options.kills}`]),
    ...(options.shrink === 1 ? [] : [`--shrink ${options.shrink}`]),
  ].join(' ');
}
