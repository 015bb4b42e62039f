/**
 * The documentation page in a real browser: Swagger UI must draw every route under the page's own content
 * security policy. Needs Chromium (`apt-get install chromium`, or CHROMIUM_PATH); skipped without it.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { routes } from '@nestrec/api';
import { describe, expect, it } from 'vitest';
import { startApi } from '../helpers/api/harness.js';
import { browserTitle, chromium, visit } from '../helpers/chromium.js';

describe.skipIf(chromium === undefined)(browserTitle('GET /docs'), () => {
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
