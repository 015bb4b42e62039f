/**
 * Chooses the TensorFlow.js backend for a command and says which, why, and what would be faster.
 *
 * The figures of the backends are kept in the data folder.
 */
import { selectBackend, type BackendMeasurement, type BackendReport } from '@nestrec/tensor';
import type { CommandContext } from './command-context.js';
import { renderTable } from './output.js';
import { dataFolders } from './platform.js';
import type { CliConfig } from './settings.js';

/** What the settings say about the backend. */
export function backendOptions(config: CliConfig) {
  return { force: config.backend ?? undefined, cacheFolder: dataFolders(config).root };
}

export async function chooseBackend({
  config,
  output,
}: Pick<CommandContext, 'config' | 'output'>): Promise<BackendReport> {
  const report = await selectBackend(backendOptions(config));
  output.note(report.line);
  return report;
}

/** The measured backends as people read them; `chosen` is null where none can be used. */
export function backendTable(
  measurements: readonly BackendMeasurement[],
  chosen: string | null,
): string {
  return renderTable(
    ['backend', 'available', 'GFLOPS', 'step', 'chosen', 'cure'],
    measurements.map(({ name, figures, reason, cure }) => [
      name,
      reason === null ? 'yes' : `no: ${reason}`,
      figures?.gflops.toFixed(1) ?? '',
      figures === null ? '' : `${figures.stepMs.toFixed(1)} ms`,
      name === chosen ? 'yes' : '',
      cure ?? '',
    ]),
  );
}
