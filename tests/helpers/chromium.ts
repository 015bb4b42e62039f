/** A real browser, headless: Chromium (`apt-get install chromium`, or CHROMIUM_PATH); tests skip without it. */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const PLACES = [
  process.env['CHROMIUM_PATH'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];
export const chromium = PLACES.find(
  (path): path is string => path !== undefined && isExecutable(path),
);

/** The title of a suite that needs it, with the cure where it is missing. */
export const browserTitle = (title: string): string =>
  chromium === undefined
    ? `${title} (skipped: no Chromium; apt-get install chromium, or set CHROMIUM_PATH)`
    : title;

const FLAGS = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
  // Lines of the console go to standard error; time runs ahead until the page is at rest.
  ...['--enable-logging=stderr', '--virtual-time-budget=15000', '--dump-dom'],
];

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The page after its scripts ran, and what its console said. */
export async function visit(url: string): Promise<{ dom: string; console: string[] }> {
  const profile = await mkdtemp(join(tmpdir(), 'nestrec-chromium-'));
  try {
    const { stdout, stderr } = await promisify(execFile)(
      chromium!,
      [...FLAGS, `--user-data-dir=${profile}`, url],
      { maxBuffer: 64 * 1024 * 1024, timeout: 120_000 },
    );
    return { dom: stdout, console: stderr.split('\n').filter((line) => /CONSOLE/.test(line)) };
  } finally {
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
