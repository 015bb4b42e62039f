/** GET /docs: the documentation page. Loads its parts from /docs/..., nothing from elsewhere. */
import { DOCS_PAGE } from '../../docs/page.js';
import { defineOpenRoute } from '../../http/route.js';

export const getDocs = defineOpenRoute({
  method: 'get',
  path: '/docs',
  summary: 'The documentation page',
  access: { kind: 'operator' },
  answers: { 200: { description: 'An HTML page.', contentType: 'text/html' } },
  errors: [],
  handler: async () => ({
    status: 200,
    content: DOCS_PAGE,
    contentType: 'text/html; charset=utf-8',
  }),
});
