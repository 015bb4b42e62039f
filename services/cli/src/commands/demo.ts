/** `nestrec demo`, which is what `npm start` runs: a shop from nothing to a personalised answer. */
import type { Command } from 'commander';
import { defineAction, type Invocation } from '../command-context.js';
import { runDemo } from '../demo/run-demo.js';

export function addDemo(program: Command, invocation: Invocation): void {
  const command = program
    .command('demo')
    .description('generate a shop, train, publish, serve, and show what a user is recommended')
    .addHelpText('after', '\nExample:\n  NESTREC_DEMO_SCALE=small PORT=9000 nestrec demo');
  defineAction(command, invocation, runDemo);
}
