import { describe, expect, it } from 'vitest';
import { filterSchema, MAX_FILTER_NODES } from './filters.js';

const leaf = { field: 'brand', eq: 'a' };
const wants = (value: unknown) =>
  filterSchema
    .safeParse(value)
    .error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];

describe('filterSchema', () => {
  it.each([
    [leaf],
    [{ field: 'categories', in: ['a', 'b'] }],
    [{ field: 'available', eq: true }],
    [{ field: 'fields.a.b', gte: 1, lt: 2.5 }],
    [{ field: 'fields.day', gt: '2026-01-01' }],
    [{ field: "fields.'; DROP TABLE items; --", eq: 1 }],
    [{ and: [leaf, { or: [leaf, { not: { field: 'item_id', in: ['x'] } }] }] }],
  ])('takes %j as it is', (filter) => {
    expect(filterSchema.parse(filter)).toEqual(filter);
  });

  it.each([
    [{}, ': exactly one of and, or, not, field'],
    [{ and: [leaf], field: 'brand', eq: 'a' }, ': exactly one of and, or, not, field'],
    [{ not: leaf, gt: 1 }, 'gt: nothing beside not'],
    [{ field: 'brand' }, ': beside field one of eq, in, or bounds (gt or gte, lt or lte)'],
    [
      { field: 'brand', eq: 'a', in: ['b'] },
      ': beside field one of eq, in, or bounds (gt or gte, lt or lte)',
    ],
    [{ field: 'fields.a', gt: 1, gte: 1 }, ': one lower and one upper bound at most'],
    [{ field: 'fields.a', gt: 1, lt: 'b' }, ': bounds of one type'],
    [{ field: 'brand', eq: 1 }, 'eq: a text, as brand is'],
    [
      { field: 'item_id', in: ['a', true] },
      'in: only values that are a text, as item_id is (entry 1)',
    ],
    [{ field: 'available', eq: 'yes' }, 'eq: true or false, as available is'],
    [{ field: 'categories', gt: 'a' }, 'gt: eq or in: categories has no order'],
    [{ not: { not: { not: { not: leaf } } } }, ': at most 4 levels of and, or, not and conditions'],
    [
      { or: Array.from({ length: MAX_FILTER_NODES }, () => leaf) },
      ': at most 64 conditions, and, or and not together',
    ],
  ])('refuses %j and says where and why', (filter, want) => {
    expect(wants(filter)).toEqual([want]);
  });

  it.each([
    [{ and: [leaf, { field: 'title', eq: 'a' }] }, 'and.1.field'],
    [{ field: `fields.${'é'.repeat(33)}`, eq: 1 }, 'field'],
    [{ field: 'fields.', eq: 1 }, 'field'],
    [{ field: 'fields.a\0', eq: 1 }, 'field'],
    [{ and: [] }, 'and'],
    [{ field: 'brand', in: [] }, 'in'],
    [{ field: 'brand', in: Array.from({ length: 101 }, () => 'a') }, 'in'],
    [{ field: 'brand', eq: 'a\0' }, 'eq'],
    [{ field: 'fields.a', eq: null }, 'eq'],
    [{ field: 'fields.a', eq: { a: 1 } }, 'eq'],
    [{ field: 'fields.a', like: '%' }, ''],
  ])('refuses %j at its place', (filter, path) => {
    expect(filterSchema.safeParse(filter).error?.issues[0]?.path.join('.')).toBe(path);
  });
});
