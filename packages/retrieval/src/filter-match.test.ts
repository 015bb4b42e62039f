import type { Filter } from '@nestrec/contracts';
import { describe, expect, it } from 'vitest';
import { matchesFilter, type FilterableItem } from './filter-match.js';

const lamp: FilterableItem = {
  item_id: 'i1',
  brand: 'acme',
  categories: ['home', 'light'],
  available: true,
  fields: { price: 9.5, colour: 'red', sold: false, tags: ['new', 'eco'], code: '10', 'a.b': 1 },
};

describe('matchesFilter', () => {
  it.each<[Filter, boolean]>([
    [{ field: 'item_id', in: ['i0', 'i1'] }, true],
    [{ field: 'brand', eq: 'acme' }, true],
    [{ field: 'brand', eq: 'Acme' }, false],
    [{ field: 'brand', gte: 'ac', lt: 'ad' }, true],
    [{ field: 'categories', eq: 'light' }, true],
    [{ field: 'categories', in: ['garden', 'home'] }, true],
    [{ field: 'categories', in: ['garden'] }, false],
    [{ field: 'available', eq: true }, true],
    [{ field: 'fields.price', gt: 9.5 }, false],
    [{ field: 'fields.price', gte: 9.5, lt: 10 }, true],
    [{ field: 'fields.a.b', eq: 1 }, true],
    [{ field: 'fields.tags', eq: 'eco' }, true],
    [{ field: 'fields.sold', eq: false }, true],
    [
      {
        and: [
          { field: 'brand', eq: 'acme' },
          { field: 'fields.sold', eq: true },
        ],
      },
      false,
    ],
    [
      {
        or: [
          { field: 'brand', eq: 'acme' },
          { field: 'fields.sold', eq: true },
        ],
      },
      true,
    ],
  ])('%j is %s', (filter, wanted) => {
    expect(matchesFilter(lamp, filter)).toBe(wanted);
    expect(matchesFilter(lamp, { not: filter })).toBe(!wanted);
  });

  it.each<[string, Filter]>([
    ['a field that is absent', { field: 'fields.size', eq: 'm' }],
    ['a bound on one that is absent', { field: 'fields.size', lt: 5 }],
    ['another type', { field: 'fields.code', eq: 10 }],
    ['a bound of another type', { field: 'fields.code', gte: 10 }],
    ['a bound on a list', { field: 'fields.tags', gte: 'a' }],
    ['a name of the prototype', { field: 'fields.constructor', eq: 'x' }],
  ])('%s is false, and not of it true', (_name, filter) => {
    expect(matchesFilter(lamp, filter)).toBe(false);
    expect(matchesFilter(lamp, { not: filter })).toBe(true);
  });

  it('an item without a catalogue row has its id and nothing else', () => {
    const bare = { item_id: 'i9' };
    expect(matchesFilter(bare, { field: 'item_id', eq: 'i9' })).toBe(true);
    expect(matchesFilter(bare, { field: 'available', in: [true, false] })).toBe(false);
  });
});
