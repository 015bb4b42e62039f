import { InternalError } from '@nestrec/errors';
import type { ItemImport, ItemImportOptions, TableFormat } from './types.js';
export function importItems(
  _source: { path: string; format?: TableFormat },
  _options: ItemImportOptions = {},
): Promise<ItemImport> {
  return Promise.reject(new InternalError());
}
