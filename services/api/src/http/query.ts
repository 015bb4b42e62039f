/**
 * Query strings, strictly: one value per name, percent-encoding that decodes, and text that becomes a
 * number or a boolean only where the route's schema asks for one.
 */
import { excerpt, InvalidParameter, InvalidUrl } from '@nestrec/errors';
import { z } from 'zod';

export type QueryReader = (search: string) => unknown;

type Kind = 'integer' | 'number' | 'boolean' | 'text';

const INTEGER = /^-?[0-9]{1,15}$/;
const NUMBER = /^-?[0-9]{1,15}(?:\.[0-9]{1,15})?$/;

/** A reader for one route; what it gives is still to be parsed by `schema`. */
export function createQueryReader(schema: z.ZodObject): QueryReader {
  const kinds = new Map<string, Kind>();
  for (const [name, field] of Object.entries(schema.shape)) kinds.set(name, kindOf(field));
  return (search) => {
    const values: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    for (const [name, text] of pairs(search)) {
      if (Object.hasOwn(values, name)) {
        throw new InvalidParameter({
          fields: [{ path: excerpt(name), got: 'more than one value', want: 'one value' }],
          detail: `The query parameter ${excerpt(name)} stands more than once; send it once.`,
        });
      }
      values[name] = convert(text, kinds.get(name) ?? 'text');
    }
    return { ...values };
  };
}

/** Decoded name-value pairs. @throws InvalidUrl */
function pairs(search: string): [string, string][] {
  return search
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const cut = part.indexOf('=');
      return cut === -1
        ? [decode(part), '']
        : [decode(part.slice(0, cut)), decode(part.slice(cut + 1))];
    });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch (cause) {
    throw new InvalidUrl({
      detail:
        'The query has a % that is not followed by valid UTF-8 in two hexadecimal digits each.',
      cause,
    });
  }
}

function convert(text: string, kind: Kind): unknown {
  if (kind === 'integer' && INTEGER.test(text)) return Number(text);
  if (kind === 'number' && NUMBER.test(text)) return Number(text);
  if (kind === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  // Left as text: the schema then refuses it and names what it wanted.
  return text;
}

function kindOf(field: z.core.$ZodType): Kind {
  const { type } = z.toJSONSchema(field, { unrepresentable: 'any' });
  if (type === 'integer' || type === 'number') return type;
  return type === 'boolean' ? 'boolean' : 'text';
}
