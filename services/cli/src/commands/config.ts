/** `nestrec config check`: every setting with its value, or every fault, without starting anything. */
import type { Command } from 'commander';
import { describeConfig } from '@nestrec/runtime';
import { defineAction, type Invocation } from '../command-context.js';
import { renderTable } from '../output.js';
import { cliSettings } from '../settings.js';

export function addConfig(program: Command, invocation: Invocation): void {
  const group = program.command('config').description('settings of nestrec');
  const check = group
    .command('check')
    .description('show the effective settings; exit code 78 and every fault where one is not valid')
    .addHelpText('after', '\nExample:\n  PORT=9000 nestrec config check');
  defineAction(check, invocation, async ({ config, output }) => {
    const settings = describeConfig(cliSettings, config);
    const show = (value: unknown) => (value === null ? '(unset)' : String(value));
    output.result(
      { settings },
      renderTable(
        ['variable', 'value', 'what it is'],
        settings.map((s) => [s.env, show(s.value), s.description]),
      ),
    );
  });
}
