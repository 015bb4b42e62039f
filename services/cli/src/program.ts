/** Builds the command `nestrec` from its commands, and turns any failure into a text and an exit code. */
import { Command, CommanderError } from 'commander';
import { addBackup } from './commands/backup.js';
import { addConfig } from './commands/config.js';
import { addDemo } from './commands/demo.js';
import { addDlq } from './commands/dlq.js';
import { addDoctor } from './commands/doctor.js';
import { addEvaluate } from './commands/evaluate.js';
import { addGolden } from './commands/golden.js';
import { addImport } from './commands/import.js';
import { addKeys } from './commands/keys.js';
import { addModel } from './commands/model.js';
import { addPublish, addRollback } from './commands/publish.js';
import { addRetrain } from './commands/retrain.js';
import { addRuns } from './commands/runs.js';
import { addServe } from './commands/serve.js';
import { addStates } from './commands/states.js';
import { addTiers } from './commands/tiers.js';
import { addTrain } from './commands/train.js';
import type { Invocation } from './command-context.js';
import { refuseSecrets } from './command-line-secrets.js';
import { renderError } from './output.js';

const USAGE_EXIT_CODE = 2;

function buildProgram(invocation: Invocation): Command {
  const program = new Command('nestrec')
    .description('Sequential recommendations whose dimension is a parameter of the request')
    .version('0.1.0')
    .configureOutput({
      writeOut: (text) => void invocation.streams.stdout.write(text),
      writeErr: (text) => void invocation.streams.stderr.write(text),
    })
    .exitOverride()
    .showHelpAfterError('(add --help for what is possible)');
  // Subcommands inherit the settings above, so they are made before any command is added.
  const add = [
    addDemo,
    addImport,
    addTrain,
    addRetrain,
    addRuns,
    addEvaluate,
    addPublish,
    addRollback,
    addServe,
    addKeys,
    addTiers,
    addDlq,
    addModel,
    addStates,
    addGolden,
    addConfig,
    addDoctor,
    addBackup,
  ];
  for (const command of add) command(program, invocation);
  return program;
}

/** Runs one command line; resolves to the exit code. */
export async function runCli(argv: readonly string[], invocation: Invocation): Promise<number> {
  try {
    refuseSecrets(argv);
    await buildProgram(invocation).parseAsync([...argv], { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      if (argv.includes('--json')) writeUsageError(invocation, error);
      return USAGE_EXIT_CODE;
    }
    const { text, json, exitCode } = renderError(error);
    if (argv.includes('--json')) {
      invocation.streams.stdout.write(`${JSON.stringify(json, null, 2)}\n`);
    }
    invocation.streams.stderr.write(`${text}\n`);
    if (invocation.env['NESTREC_LOG_LEVEL'] === 'debug' && error instanceof Error) {
      invocation.streams.stderr.write(`${error.stack ?? ''}\n`);
    }
    return exitCode;
  }
}

function writeUsageError({ streams }: Invocation, { message }: CommanderError): void {
  const error = { code: 'usage_error', message: message.replace(/^error: /, ''), fields: [] };
  streams.stdout.write(`${JSON.stringify({ error }, null, 2)}\n`);
}

/** The help text of every command that does something, as `--help` prints it. */
export function commandHelps(): { name: string; help: string }[] {
  const helps: { name: string; help: string }[] = [];
  const visit = (command: Command, prefix: string): void => {
    const name = `${prefix} ${command.name()}`.trim();
    if (command.commands.length > 0) return command.commands.forEach((one) => visit(one, name));
    let help = '';
    command.configureOutput({ writeOut: (text) => void (help += text) }).outputHelp();
    helps.push({ name, help });
  };
  const silent = { write: () => true } as unknown as NodeJS.WriteStream;
  visit(buildProgram({ env: {}, streams: { stdout: silent, stderr: silent } }), '');
  return helps;
}
