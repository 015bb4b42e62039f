import { InternalError } from '@nestrec/errors';
import type { InteractionImport, InteractionImportOptions, InteractionSource } from './types.js';
export function importInteractions(
  _source: InteractionSource,
  _options: InteractionImportOptions,
): Promise<InteractionImport> {
  return Promise.reject(new InternalError());
}
