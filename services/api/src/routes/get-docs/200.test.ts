import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemOf, startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';

let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

describe('GET /docs 200', () => {
  it('loads scripts and styles from this server only, and holds none of its own', async () => {
    const page = await api.call('GET', '/docs', { key: null });
    expect(page.headers.get('content-type')).toContain('text/html');
    const policy = page.headers.get('content-security-policy')!;
    expect(policy).toContain("script-src 'self'");
    expect(policy).not.toContain('unsafe');
    expect(page.text).not.toMatch(/<script>|<style|style=|https?:/);
    const parts = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]!);
    expect(parts).toHaveLength(4);
    for (const part of parts) {
      const reply = await api.call('GET', part, { key: null });
      expect([part, reply.status, reply.headers.get('x-content-type-options')]).toEqual([
        part,
        200,
        'nosniff',
      ]);
    }
  });

  it.each(['package.json', '..%2fpackage.json', 'swagger-ui.js.map', 'index.html'])(
    'serves no other file: %s is 404',
    async (file) => {
      const reply = await api.call('GET', `/docs/${file}`, { key: null });
      expect(problemOf(reply).code).toBe('route_not_found');
    },
  );

  it('serves the document that the page shows', async () => {
    const reply = await api.call('GET', '/openapi.json', { key: null });
    expect(reply.headers.get('content-type')).toContain('application/json');
    expect(reply.json).toMatchObject({ openapi: '3.1.0' });
  });
});
