/** What every command gets: where to speak, the settings, and the platform opened on demand. */
import type { Command } from 'commander';
import type { Environment } from '@nestrec/runtime';
import { loadConfig } from '@nestrec/runtime';
import { withEnvFile } from './env-file.js';
import { endOnSignals } from './interruption.js';
import { createOutput, type Output, type Streams } from './output.js';
import { cliSettings, type CliConfig } from './settings.js';

export interface CommandContext {
  readonly config: CliConfig;
  readonly output: Output;
}

export interface Invocation {
  readonly env: Environment;
  /** File with further variables, under those of `env`; none where absent. */
  readonly envFile?: string;
  readonly streams: Streams;
}

/** Adds a command's `--json` and runs `action` with a context; every command goes through here. */
export function defineAction<O extends { json?: boolean }>(
  command: Command,
  invocation: Invocation,
  action: (context: CommandContext, args: string[], options: O) => Promise<void>,
): Command {
  return command
    .option('--json', 'print the result as one JSON document on standard output')
    .action(async (...received: unknown[]) => {
      const options = command.opts<O>();
      const args = received.slice(0, -2).flat() as string[];
      const output = createOutput(invocation.streams, options.json ?? false);
      const { env, warnings } =
        invocation.envFile === undefined
          ? { env: invocation.env, warnings: [] }
          : withEnvFile(invocation.env, invocation.envFile);
      for (const warning of warnings) output.note(warning);
      const context = { config: loadConfig(cliSettings, env), output };
      const disarm = endOnSignals(output);
      try {
        await action(context, args, options);
      } finally {
        disarm();
      }
    });
}
