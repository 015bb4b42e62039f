/** Runs other programs for the setup, and turns what they lack into an error that says the cure. */
import { spawnSync } from 'node:child_process';
import { existsSync, renameSync } from 'node:fs';

/** A problem that the operator can cure; its message is all there is to say. */
export class SetupProblem extends Error {}

/** Whether `command` starts and ends well. */
export function runs(command, args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** Runs a program silently. @throws SetupProblem with its last lines and `cure` */
export function run(what, command, args, cure) {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (result.status === 0) return result.stdout;
  const said = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`;
  const lines = said.trim().split('\n').slice(-12).join('\n  ');
  const end = result.signal ?? result.status ?? 'no start';
  throw new SetupProblem(
    `${what} failed (${command} ${args.join(' ')}: ${end}):\n  ${lines}\n${cure}`,
  );
}

/** Gives a finished folder its final name; where another run was first, its folder stays. */
export function moveWhole(folder, target) {
  try {
    renameSync(folder, target);
  } catch (error) {
    if (!existsSync(target)) throw error;
  }
}
