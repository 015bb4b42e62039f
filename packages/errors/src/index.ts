/** Error catalogue: code, HTTP status, exit code, retryable, public text. */
import * as catalogue from './catalogue.js';

export {
  defineError,
  excerpt,
  isError,
  NestrecError,
  type ErrorClass,
  type ErrorContext,
  type ErrorTraits,
  type FieldFault,
} from './define-error.js';
export * from './catalogue.js';

/** The catalogue as data, for docs/errors.md and the OpenAPI document. */
export const errorCatalogue = Object.values(catalogue);
