/** A test's own program in a process of its own, from source: what `kill -9` is tried on. */
import { nodeArguments } from './node-arguments.js';
import { startProcess, type StartedProcess } from './started-process.js';

/** Starts a TypeScript module (a file below tests/) with arguments. */
export function startSource(module: URL, args: readonly string[]): StartedProcess {
  return startProcess(process.execPath, nodeArguments(module, args), {});
}
