/** Chooses the TensorFlow.js backend for a command and says which, why, and what would be faster. */
import { selectBackend, type BackendReport } from '@nestrec/tensor';
import type { CommandContext } from './command-context.js';

export async function chooseBackend({
  config,
  output,
}: Pick<CommandContext, 'config' | 'output'>): Promise<BackendReport> {
  const report = await selectBackend(config.backend === null ? {} : { force: config.backend });
  output.note(report.line);
  return report;
}
