/**
 * Ids of users, items and events: opaque strings of 1 to 256 bytes of UTF-8, without control characters
 * and lone surrogates, stored as sent (no case folding, no normalisation).
 */
import { z } from 'zod';
import { utf8Length } from './utf8.js';

export const MAX_ID_BYTES = 256;

// eslint-disable-next-line no-control-regex -- refusing control characters is the purpose
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f]/;

/** What is wrong with an id, or null. */
export function idFault(id: string): string | null {
  if (id.length === 0) return 'is empty';
  if (!id.isWellFormed()) return 'has a lone surrogate';
  if (CONTROL_CHARACTERS.test(id)) return 'has a control character';
  if (utf8Length(id) > MAX_ID_BYTES) return `is longer than ${MAX_ID_BYTES} bytes`;
  return null;
}

export const idSchema = z
  .string()
  .min(1)
  .max(MAX_ID_BYTES)
  .superRefine((id, context) => {
    const fault = idFault(id);
    if (fault !== null) context.addIssue({ code: 'custom', message: fault, params: { id: true } });
  });
