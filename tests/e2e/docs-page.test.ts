/**
 * The documentation page in a real browser: Swagger UI must draw every route under the page's own content
 * security policy. Needs Chromium (`apt-get install chromium`, or CHROMIUM_PATH); skipped without it.
 */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { routes } from '@nestrec/api';
import { describe, expect, it } from 'vitest';
import { startApi } from '../helpers/api/harness.js';

const PLACES = [
  process.env['CHROMIUM_PATH'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];
const chromium = PLACES.find((path): path is string => path !== undefined && isExecutable(path));
const title =
  chromium === undefined
    ? 'GET /docs (skipped: no Chromium; apt-get install chromium, or set CHROMIUM_PATH)'
    : 'GET /docs';

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
async function visit(url: string): Promise<{ dom: string; console: string[] }> {
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

describe.skipIf(chromium === undefined)(title, () => {
  it('draws every route under its content security policy, with an empty console', async () => {
    const api = await startApi();
    const page = await visit(`http://127.0.0.1:${api.port}/docs`);
    await api.stop();
    expect(page.console).toEqual([]);
    const drawn = new Set([...page.dom.matchAll(/data-path="([^"]+)"/g)].map((match) => match[1]));
    expect([...drawn].sort()).toEqual([...new Set(routes.map((route) => route.path))].sort());
  });

  it('would be seen to break the policy: an inline script is reported', async () => {
    const server = createServer((_req, res) => {
      res.setHeader('Content-Security-Policy', "default-src 'none'");
      res.setHeader('Content-Type', 'text/html');
      res.end('<p>x</p><script>document.title = "ran"</script>');
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const page = await visit(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    server.close();
    expect(page.console.join('\n')).toMatch(/Content Security Policy/);
  });
});
