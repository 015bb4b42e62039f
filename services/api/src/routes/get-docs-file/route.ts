/** GET /docs/{file}: scripts and styles of the documentation page, by an allow-list of names. */
import { RouteNotFound } from '@nestrec/errors';
import { z } from 'zod';
import { DOCS_FILES, readDocsFile } from '../../docs/files.js';
import { defineOpenRoute } from '../../http/route.js';

export const getDocsFile = defineOpenRoute({
  method: 'get',
  path: '/docs/{file}',
  summary: 'A part of the documentation page',
  access: { kind: 'operator' },
  params: z.strictObject({ file: z.string().min(1).max(64) }),
  answers: { 200: { description: 'A script, a style or an icon.', contentType: '*/*' } },
  errors: [RouteNotFound],
  async handler({ params }) {
    const file = DOCS_FILES.find((name) => name === params.file);
    if (file === undefined) throw new RouteNotFound({ detail: 'The page is at /docs.' });
    return { status: 200, ...(await readDocsFile(file)) };
  },
});
