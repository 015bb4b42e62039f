/**
 * Filters: a small typed language over the fields of items, as JSON.
 *
 * An allow-list: the operators and fields below, nothing else. A filter is data from end to end; what it
 * means is `matchesFilter` of `retrieval`, and its SQL there is held equal to that by a property test.
 */
import { z } from 'zod';

/** Levels of and, or, not and the condition itself: not above or above and is four. */
export const MAX_FILTER_DEPTH = 4;
/** Conditions, and, or and not counted alike. */
export const MAX_FILTER_NODES = 64;
export const MAX_FILTER_VALUES = 100;
const MAX_VALUE_CHARACTERS = 1_024;
const MAX_NAME_BYTES = 64;
const FREE_FIELD = 'fields.';

export type FilterValue = string | number | boolean;

export interface RangeFilter {
  readonly field: string;
  readonly gt?: string | number | undefined;
  readonly gte?: string | number | undefined;
  readonly lt?: string | number | undefined;
  readonly lte?: string | number | undefined;
}
export type Condition =
  | { readonly field: string; readonly eq: FilterValue }
  | { readonly field: string; readonly in: readonly FilterValue[] }
  | RangeFilter;
export type Filter =
  | { readonly and: readonly Filter[] }
  | { readonly or: readonly Filter[] }
  | { readonly not: Filter }
  | Condition;

/** A field as filters name it: one of the item's own, or `fields.NAME` (all after the first dot is the name). */
export type FilterField =
  | { readonly kind: 'item_id' | 'brand' | 'categories' | 'available' }
  | { readonly kind: 'free'; readonly name: string };

/** null for what is no field of filters. */
export function filterField(text: string): FilterField | null {
  switch (text) {
    case 'item_id':
    case 'brand':
    case 'categories':
    case 'available':
      return { kind: text };
    default:
      return text.length > FREE_FIELD.length && text.startsWith(FREE_FIELD)
        ? { kind: 'free', name: text.slice(FREE_FIELD.length) }
        : null;
  }
}

/** Text that a database can hold; it would answer anything else with an error. */
const storable = (text: string) => !text.includes('\0') && text.isWellFormed();

const textValue = z
  .string()
  .max(MAX_VALUE_CHARACTERS)
  .refine(storable, { error: 'a text without NUL characters and lone surrogates' });
const bound = z.union([textValue, z.number()]).optional();
const value = z.union([textValue, z.number(), z.boolean()]);

const fieldName = z
  .string()
  .refine(
    (text) => {
      const field = filterField(text);
      if (field?.kind !== 'free') return field !== null;
      return Buffer.byteLength(field.name) <= MAX_NAME_BYTES && storable(field.name);
    },
    { error: `item_id, brand, categories, available, or fields.NAME of at most 64 bytes` },
  )
  .describe('item_id, brand, categories, available, or fields.NAME.');

const BOUNDS = ['gt', 'gte', 'lt', 'lte'] as const;
const DESCRIPTION =
  'One of {"and": [...]}, {"or": [...]}, {"not": {...}}, {"field", "eq"}, {"field", "in": [...]}, {"field", "gt"|"gte"|"lt"|"lte"}. ' +
  'A field that an item does not have, or that holds another type, makes the condition false; not of false is true. ' +
  'On lists (categories, lists in fields) eq and in mean: any entry. Numbers compare as numbers, texts bytewise.';

const nodeSchema = z
  .strictObject({
    get and(): z.ZodOptional<z.ZodArray<z.ZodType<Filter>>> {
      return z.array(filterSchema).min(1).max(MAX_FILTER_NODES).optional();
    },
    get or(): z.ZodOptional<z.ZodArray<z.ZodType<Filter>>> {
      return z.array(filterSchema).min(1).max(MAX_FILTER_NODES).optional();
    },
    get not(): z.ZodOptional<z.ZodType<Filter>> {
      return filterSchema.optional();
    },
    field: fieldName.optional(),
    eq: value.optional(),
    in: z.array(value).min(1).max(MAX_FILTER_VALUES).optional(),
    gt: bound,
    gte: bound,
    lt: bound,
    lte: bound,
  })
  .superRefine((node, context) => {
    const fault = formFault(node) ?? sizeFault(node as Filter);
    if (fault === null) return;
    context.addIssue({ code: 'custom', message: fault.want, path: fault.path });
  })
  .meta({ id: 'Filter', description: DESCRIPTION });

/** What may be asked of items; the refinement makes every value one of the forms of `Filter`. */
export const filterSchema = nodeSchema as unknown as z.ZodType<Filter, Filter>;

interface Fault {
  readonly path: string[];
  readonly want: string;
}
interface Node {
  readonly and?: unknown;
  readonly or?: unknown;
  readonly not?: unknown;
  readonly field?: string | undefined;
  readonly eq?: FilterValue | undefined;
  readonly in?: readonly FilterValue[] | undefined;
  readonly gt?: string | number | undefined;
  readonly gte?: string | number | undefined;
  readonly lt?: string | number | undefined;
  readonly lte?: string | number | undefined;
}

/** Where an object is not exactly one of the forms. */
function formFault(node: Node): Fault | null {
  const has = (name: keyof Node) => node[name] !== undefined;
  const heads = (['and', 'or', 'not', 'field'] as const).filter(has);
  if (heads.length !== 1) return { path: [], want: 'exactly one of and, or, not, field' };
  const operators = (['eq', 'in', ...BOUNDS] as const).filter(has);
  if (node.field === undefined) {
    if (operators.length === 0) return null;
    return { path: [operators[0]!], want: `nothing beside ${heads[0]}` };
  }
  const bounds = BOUNDS.filter(has);
  const forms = Number(has('eq')) + Number(has('in')) + Number(bounds.length > 0);
  if (forms !== 1) {
    return { path: [], want: 'beside field one of eq, in, or bounds (gt or gte, lt or lte)' };
  }
  if ((has('gt') && has('gte')) || (has('lt') && has('lte'))) {
    return { path: [], want: 'one lower and one upper bound at most' };
  }
  return typeFault(node, node.field, bounds);
}

/** What can be known to be wrong before any item is looked at. */
function typeFault(
  node: Node,
  field: string,
  bounds: readonly (typeof BOUNDS)[number][],
): Fault | null {
  const types = new Set(bounds.map((name) => typeof node[name]));
  if (types.size > 1) return { path: [], want: 'bounds of one type' };
  const kind = filterField(field)?.kind ?? 'free';
  if (kind === 'free') return null;
  if (bounds.length > 0 && (kind === 'available' || kind === 'categories')) {
    return { path: [bounds[0]!], want: `eq or in: ${kind} has no order` };
  }
  const want = kind === 'available' ? 'boolean' : 'string';
  const says = `${want === 'string' ? 'a text' : 'true or false'}, as ${kind} is`;
  for (const name of ['eq', ...bounds] as const) {
    if (node[name] !== undefined && typeof node[name] !== want) return { path: [name], want: says };
  }
  const at = (node.in ?? []).findIndex((entry) => typeof entry !== want);
  return at === -1 ? null : { path: ['in'], want: `only values that are ${says} (entry ${at})` };
}

function sizeFault(filter: Filter): Fault | null {
  if (filterDepth(filter) > MAX_FILTER_DEPTH) {
    return { path: [], want: `at most ${MAX_FILTER_DEPTH} levels of and, or, not and conditions` };
  }
  if (filterNodes(filter) > MAX_FILTER_NODES) {
    return { path: [], want: `at most ${MAX_FILTER_NODES} conditions, and, or and not together` };
  }
  return null;
}

/** What stands below an and, or or not; nothing below a condition. */
export function filterChildren(filter: Filter): readonly Filter[] {
  if ('and' in filter) return filter.and;
  if ('or' in filter) return filter.or;
  return 'not' in filter ? [filter.not] : [];
}

function filterDepth(filter: Filter): number {
  return 1 + Math.max(0, ...filterChildren(filter).map(filterDepth));
}

function filterNodes(filter: Filter): number {
  return filterChildren(filter).reduce((sum, child) => sum + filterNodes(child), 1);
}
