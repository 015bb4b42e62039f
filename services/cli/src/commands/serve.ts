/** `nestrec serve`: the API and ingest in one process, until Ctrl-C. */
import type { Command } from 'commander';
import { startAllInOne } from '../all-in-one.js';
import { defineAction, type Invocation } from '../command-context.js';
import { serveUntilInterrupted } from '../serving.js';
import { openPlatform } from '../platform.js';

export function addServe(program: Command, invocation: Invocation): void {
  const command = program
    .command('serve')
    .description('serve recommendations and take events')
    .addHelpText('after', '\nExample:\n  PORT=9000 nestrec serve');
  defineAction(command, invocation, async ({ config, output }) => {
    const platform = await openPlatform(config);
    await serveUntilInterrupted(platform, output, async ({ started }) => {
      const server = await startAllInOne(platform);
      started(server);
      output.note(platform.db.description);
      server.open();
      output.result({ url: server.url }, `ready ${server.url}`);
    });
  });
}
