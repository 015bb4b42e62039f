/**
 * Filters as conditions of SQL on rows of a vector table (alias `v`) and of the catalogue (alias `i`).
 *
 * Every value and every name of a field is a parameter; the text is put together from constants only.
 * A NULL of a condition stands for false: and and or keep it so, and `not` is IS NOT TRUE.
 */
import {
  filterChildren,
  filterField,
  type Condition,
  type Filter,
  type FilterValue,
} from '@nestrec/contracts';
import { json } from '@nestrec/database';
import type { SqlParameters } from '@nestrec/storage';

/**
 * How the catalogue is reached: `point`, by the row's id, one row at a time as an index scan brings them;
 * `set`, all matching items first, so that an index of the catalogue can find the few that match.
 */
export type CatalogueAccess = 'point' | 'set';

/** The filter as a condition on `v`, without WHERE; items without a row in the catalogue included. */
export function filterCondition(
  filter: Filter,
  access: CatalogueAccess,
  parameters: SqlParameters,
): string {
  const parts = splitByTable(conjuncts(filter));
  const conditions: string[] = [];
  if (parts.id.length > 0) conditions.push(`(${all(parts.id, parameters)})`);
  if (parts.catalogue.length > 0) {
    conditions.push(catalogueCondition({ and: parts.catalogue }, access, parameters));
  }
  if (parts.both.length > 0) {
    conditions.push(`(SELECT (${all(parts.both, parameters)}) FROM (SELECT 1) one
          LEFT JOIN items i ON i.item_id = v.item_id) IS TRUE`);
  }
  return conditions.join('\n        AND ');
}

/** Whether indexes find the items that match (migration `items_by_fields`): all conditions of an or, one of an and. */
export function isIndexed(filter: Filter): boolean {
  if ('and' in filter) return filter.and.some(isIndexed);
  if ('or' in filter) return filter.or.every(isIndexed);
  return 'field' in filter && ('eq' in filter || 'in' in filter) && filter.field !== 'available';
}

/** A filter that asks for nothing of `v`. */
function catalogueCondition(
  filter: Filter,
  access: CatalogueAccess,
  parameters: SqlParameters,
): string {
  const condition = conditionSql(filter, parameters);
  const withoutRow = holdsWithoutFields(filter);
  if (access === 'point') {
    const found = `(SELECT (${condition}) IS TRUE FROM items i WHERE i.item_id = v.item_id)`;
    return withoutRow ? `${found} IS NOT FALSE` : `${found} IS TRUE`;
  }
  return withoutRow
    ? `NOT EXISTS (SELECT 1 FROM items i WHERE i.item_id = v.item_id AND (${condition}) IS NOT TRUE)`
    : `v.item_id IN (SELECT i.item_id FROM items i WHERE ${condition})`;
}

/** Whether an item that has none of the fields passes; for filters that do not ask for the id. */
function holdsWithoutFields(filter: Filter): boolean {
  if ('and' in filter) return filter.and.every(holdsWithoutFields);
  if ('or' in filter) return filter.or.some(holdsWithoutFields);
  return 'not' in filter ? !holdsWithoutFields(filter.not) : false;
}

/** What all has to hold, one filter each. */
function conjuncts(filter: Filter): readonly Filter[] {
  return 'and' in filter ? filter.and.flatMap(conjuncts) : [filter];
}

interface ByTable {
  readonly id: Filter[];
  readonly catalogue: Filter[];
  readonly both: Filter[];
}

function splitByTable(filters: readonly Filter[]): ByTable {
  const parts: ByTable = { id: [], catalogue: [], both: [] };
  for (const filter of filters) {
    const kinds = new Set(conditionsOf(filter).map(({ field }) => field === 'item_id'));
    const part = kinds.size > 1 ? 'both' : kinds.has(true) ? 'id' : 'catalogue';
    parts[part].push(filter);
  }
  return parts;
}

function conditionsOf(filter: Filter): readonly Condition[] {
  return 'field' in filter ? [filter] : filterChildren(filter).flatMap(conditionsOf);
}

const all = (filters: readonly Filter[], parameters: SqlParameters) =>
  conditionSql({ and: filters }, parameters);

function conditionSql(filter: Filter, parameters: SqlParameters): string {
  if ('and' in filter) return joined(filter.and, 'AND', parameters);
  if ('or' in filter) return joined(filter.or, 'OR', parameters);
  if ('not' in filter) return `(${conditionSql(filter.not, parameters)}) IS NOT TRUE`;
  if ('eq' in filter) return anyOf(filter.field, [filter.eq], parameters);
  if ('in' in filter) return anyOf(filter.field, filter.in, parameters);
  const bounds = [
    [filter.gt, '>'],
    [filter.gte, '>='],
    [filter.lt, '<'],
    [filter.lte, '<='],
  ] as const;
  return bounds
    .filter(([bound]) => bound !== undefined)
    .map(([bound, operator]) => compared(filter.field, operator, bound!, parameters))
    .join(' AND ');
}

const joined = (filters: readonly Filter[], word: 'AND' | 'OR', parameters: SqlParameters) =>
  filters.length === 1
    ? conditionSql(filters[0]!, parameters)
    : filters.map((filter) => `(${conditionSql(filter, parameters)})`).join(` ${word} `);

/** Equality with one of the values; on lists, of any entry. */
function anyOf(name: string, values: readonly FilterValue[], parameters: SqlParameters): string {
  const field = filterField(name)!;
  switch (field.kind) {
    case 'item_id':
      return `v.item_id = ANY(${parameters.add(values)}::text[])`;
    case 'brand':
      return `i.brand = ANY(${parameters.add(values)}::text[])`;
    case 'categories':
      return `i.categories && ${parameters.add(values)}::text[]`;
    case 'available':
      return `i.available = ANY(${parameters.add(values)}::bool[])`;
    case 'free': {
      // Containment, because an index can answer it: {"a": 1} for a value, {"a": ["x"]} for a list's entry.
      const holds = values.map((value) => json({ [field.name]: value }));
      const lists = values
        .filter((value) => typeof value === 'string')
        .map((value) => json({ [field.name]: [value] }));
      return `i.fields @> ANY(${parameters.add([...holds, ...lists])}::jsonb[])`;
    }
  }
}

/** One bound. Texts compare bytewise, numbers as numbers; another type compares as NULL or false. */
function compared(
  name: string,
  operator: '>' | '>=' | '<' | '<=',
  bound: string | number,
  parameters: SqlParameters,
): string {
  const field = filterField(name)!;
  if (field.kind === 'item_id') {
    return `v.item_id COLLATE "C" ${operator} ${parameters.add(bound)}::text`;
  }
  if (field.kind === 'brand') {
    return `i.brand COLLATE "C" ${operator} ${parameters.add(bound)}::text`;
  }
  if (field.kind !== 'free') return 'false';
  const key = `${parameters.add(field.name)}::text`;
  const type = `jsonb_typeof(i.fields -> ${key})`;
  return typeof bound === 'number'
    ? `(${type} = 'number' AND i.fields -> ${key} ${operator} ${parameters.add(json(bound))}::jsonb)`
    : `(${type} = 'string' AND (i.fields ->> ${key}) COLLATE "C" ${operator} ${parameters.add(bound)}::text)`;
}
