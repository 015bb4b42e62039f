/** The files of the documentation page: Swagger UI from the installed package, and our starter script. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { DOCS_START_SCRIPT } from './page.js';

export const DOCS_FILES = [
  'swagger-ui.css',
  'swagger-ui-bundle.js',
  'favicon-32x32.png',
  'start.js',
] as const;
export type DocsFile = (typeof DOCS_FILES)[number];

const CONTENT_TYPES: Record<DocsFile, string> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
  'start.js': 'text/javascript; charset=utf-8',
};

export async function readDocsFile(
  file: DocsFile,
): Promise<{ content: string | Uint8Array; contentType: string }> {
  const contentType = CONTENT_TYPES[file];
  if (file === 'start.js') return { content: DOCS_START_SCRIPT, contentType };
  const path = fileURLToPath(import.meta.resolve(`swagger-ui-dist/${file}`));
  return { content: await readFile(path), contentType };
}
