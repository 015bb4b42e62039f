/** From the text cells of one row to an item, as far as a schema cannot do it: lists, flags, numbers. */

/** Our field (`title`, `fields.price`, ...) -> text, '' when there is none. */
export type ItemCells = ReadonlyMap<string, string>;

export interface CellFault {
  readonly reason: string;
  readonly want: string;
  readonly column: string;
}

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const YES = new Set(['true', 't', '1', 'yes', 'y']);
const NO = new Set(['false', 'f', '0', 'no', 'n']);

/** Empty cells are left out, so that a missing title is no title and not an empty one. */
export function buildItem(
  itemId: string,
  cells: ItemCells,
  separator: string,
): { item: Record<string, unknown> } | CellFault {
  const item: Record<string, unknown> = { item_id: itemId };
  const fields: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [field, text] of cells) {
    if (text.trim() === '') continue;
    if (field === 'categories') {
      const categories = parseCategories(text, separator);
      if (categories === null)
        return {
          reason: 'categories_unreadable',
          want: `a JSON array of texts, or texts separated by ${JSON.stringify(separator)}`,
          column: field,
        };
      item['categories'] = categories;
    } else if (field === 'available') {
      const flag = text.trim().toLowerCase();
      if (!YES.has(flag) && !NO.has(flag))
        return { reason: 'available_unreadable', want: 'true or false', column: field };
      item['available'] = YES.has(flag);
    } else if (field === 'fields' || field === 'features') {
      const object = parseObject(text);
      if (object === null)
        return { reason: `${field}_unreadable`, want: 'a JSON object', column: field };
      if (field === 'fields') Object.assign(fields, object);
      else item['features'] = object;
    } else if (field.startsWith('fields.')) {
      fields[field.slice('fields.'.length)] = parseValue(text);
    } else item[field] = text;
  }
  if (Object.keys(fields).length > 0) item['fields'] = { ...fields };
  return { item };
}

/** `["a","b"]`, `[["a","b"]]` (as Amazon's metadata have it) or `a|b`. */
function parseCategories(text: string, separator: string): string[] | null {
  if (!text.trimStart().startsWith('['))
    return text
      .split(separator)
      .map((part) => part.trim())
      .filter((part) => part !== '');
  try {
    const flat = (JSON.parse(text) as unknown[]).flat();
    return flat.every((part) => typeof part === 'string') ? flat : null;
  } catch {
    return null;
  }
}

function parseObject(text: string): object | null {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** A number only where its text is the number's usual one, so that codes such as 007 stay texts. */
function parseValue(text: string): unknown {
  const trimmed = text.trim();
  if (NUMBER.test(trimmed) && Number.isFinite(Number(trimmed))) return Number(trimmed);
  if (trimmed === 'true' || trimmed === 'false') return trimmed === 'true';
  return text;
}
