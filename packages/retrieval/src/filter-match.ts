/**
 * What a filter means, for one item in memory. Pure; the SQL of `filter-sql.ts` is held equal to this.
 *
 * Two-valued logic: a condition on a field that the item does not have, or that holds another type than
 * the value asked for, is false, and `not` of false is true.
 */
import { filterField, type Condition, type Filter, type FilterValue } from '@nestrec/contracts';

/** What filters may look at; a catalogue row without the rest. */
export interface FilterableItem {
  readonly item_id: string;
  readonly brand?: string | undefined;
  readonly categories?: readonly string[] | undefined;
  /** Absent for an item that no catalogue describes. */
  readonly available?: boolean | undefined;
  readonly fields?: Readonly<Record<string, FieldValue>> | undefined;
}
type FieldValue = FilterValue | readonly string[];

export function matchesFilter(item: FilterableItem, filter: Filter): boolean {
  return filterMatcher(filter)(item);
}

/** The filter made ready for many items. */
export function filterMatcher(filter: Filter): (item: FilterableItem) => boolean {
  if ('and' in filter) {
    const parts = filter.and.map(filterMatcher);
    return (item) => parts.every((part) => part(item));
  }
  if ('or' in filter) {
    const parts = filter.or.map(filterMatcher);
    return (item) => parts.some((part) => part(item));
  }
  if ('not' in filter) {
    const part = filterMatcher(filter.not);
    return (item) => !part(item);
  }
  const condition = filter as Condition;
  const test = conditionTest(condition);
  return (item) => {
    const value = valueOf(item, condition.field);
    return value !== undefined && test(value);
  };
}

function conditionTest(condition: Condition): (value: FieldValue) => boolean {
  if ('eq' in condition) return anyOf([condition.eq]);
  if ('in' in condition) return anyOf(condition.in);
  const { gt, gte, lt, lte } = condition;
  const bounds: [string | number | undefined, (order: number) => boolean][] = [
    [gt, (order) => order > 0],
    [gte, (order) => order >= 0],
    [lt, (order) => order < 0],
    [lte, (order) => order <= 0],
  ];
  return (value) =>
    bounds.every(([bound, holds]) => {
      if (bound === undefined) return true;
      const order = compare(value, bound);
      return order !== null && holds(order);
    });
}

function anyOf(values: readonly FilterValue[]): (value: FieldValue) => boolean {
  // A Set tells "1" from 1, and takes 0 and -0 for one, as the database does.
  const wanted = new Set<FilterValue>(values);
  return (value) =>
    isList(value) ? value.some((entry) => wanted.has(entry)) : wanted.has(value as FilterValue);
}

/** null where the two have no common order. */
function compare(value: FieldValue, bound: string | number): number | null {
  if (typeof value === 'number' && typeof bound === 'number') return value - bound;
  if (typeof value === 'string' && typeof bound === 'string') {
    return Buffer.compare(Buffer.from(value), Buffer.from(bound));
  }
  return null;
}

function valueOf(item: FilterableItem, name: string): FieldValue | undefined {
  const field = filterField(name);
  if (field === null) return undefined;
  if (field.kind !== 'free') return item[field.kind];
  const { fields } = item;
  return fields !== undefined && Object.hasOwn(fields, field.name) ? fields[field.name] : undefined;
}

const isList = (value: FieldValue): value is readonly string[] => Array.isArray(value);
