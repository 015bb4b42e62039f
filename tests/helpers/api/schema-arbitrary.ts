/**
 * Values for fuzzing from a JSON Schema, as the OpenAPI document writes them: those that the schema
 * allows, and those with one part replaced by anything. Knows the keywords that our document uses and
 * throws on any other, so that a new one is not passed over in silence.
 */
import fc from 'fast-check';

export type JsonSchema = Record<string, unknown>;

const KNOWN = new Set([
  'type',
  'properties',
  'required',
  'additionalProperties',
  'items',
  'minItems',
  'maxItems',
  'minLength',
  'maxLength',
  'pattern',
  'format',
  'minimum',
  'maximum',
  'enum',
  'const',
  'anyOf',
  'default',
  'description',
  'propertyNames',
  '$ref',
]);
const COMPONENT = '#/components/schemas/';
/** Levels down to which schemas that hold themselves are filled in. */
const MAX_DEPTH = 4;

/** Schemas that others refer to by name. */
export type Components = Readonly<Record<string, JsonSchema>>;
/** Ids that the stand-ins know, so that many requests get beyond "not found". */
const FAMILIAR = ['i1', 'u1', 'v1', 'v2', 'full', 'basic', 'view'];
const MAX_LIST = 6;
/** What a schema cannot say: values of named ones that are right, so that many requests get in. */
const EXAMPLES: Readonly<Record<string, readonly unknown[]>> = {
  Filter: [
    { field: 'brand', eq: 'maker 1' },
    { field: 'fields.price', gte: 1, lt: 10 },
    { and: [{ field: 'categories', in: ['a', 'b'] }, { not: { field: 'fields.sold', eq: true } }] },
  ],
};
/** Part of some values: a log that holds it holds what clients sent. */
export const CANARY = 'canary-4f1d';

export function valid(
  schema: JsonSchema,
  components: Components = {},
  depth = MAX_DEPTH,
): fc.Arbitrary<unknown> {
  const inner = (part: unknown) => valid(part as JsonSchema, components, depth - 1);
  const unknown = Object.keys(schema).filter((keyword) => !KNOWN.has(keyword));
  if (unknown.length > 0) throw new Error(`the fuzz test does not know ${unknown.join(', ')}`);
  if (schema['$ref'] !== undefined) {
    const name = (schema['$ref'] as string).slice(COMPONENT.length);
    if (depth <= 0) return fc.constant({});
    return fc.oneof(
      { weight: 2, arbitrary: fc.constantFrom<unknown>(...(EXAMPLES[name] ?? [{}])) },
      { weight: 1, arbitrary: valid(components[name]!, components, depth - 1) },
    );
  }
  if (schema['const'] !== undefined) return fc.constant(schema['const']);
  if (schema['enum'] !== undefined) return fc.constantFrom(...(schema['enum'] as unknown[]));
  if (schema['anyOf'] !== undefined)
    return fc.oneof(...(schema['anyOf'] as JsonSchema[]).map(inner));
  switch (schema['type']) {
    case 'object':
      return object(schema, inner);
    case 'array':
      return fc.array(inner(schema['items']), {
        minLength: (schema['minItems'] as number | undefined) ?? 0,
        maxLength: Math.min((schema['maxItems'] as number | undefined) ?? MAX_LIST, MAX_LIST),
      });
    case 'string':
      return text(schema);
    case 'integer':
      return integer(schema);
    case 'number':
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    default:
      throw new Error(`the fuzz test does not know the type ${String(schema['type'])}`);
  }
}

/** A valid value, or one with a part of it replaced, removed or added. */
export function nearlyValid(
  schema: JsonSchema,
  components: Components = {},
): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 2, arbitrary: valid(schema, components) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(
          valid(schema, components),
          fc.nat(),
          anything,
          fc.constantFrom('replace', 'remove', 'add'),
        )
        .map(([value, at, other, how]) => mutate(value, at, other, how)),
    },
    { weight: 1, arbitrary: anything },
  );
}

/** Any JSON, with the odd values that parsers stumble on. */
export const anything: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  fc.constantFrom<unknown>(
    '',
    '\u0000',
    '\ud800',
    '__proto__',
    "'; DROP TABLE items; --",
    '../../etc/passwd',
    'x'.repeat(300),
    CANARY,
    { [CANARY]: CANARY },
    -1,
    0,
    1e308,
    2 ** 53,
    -0.5,
    {},
    [],
    null,
    true,
    JSON.parse('{"__proto__":{"polluted":1}}'),
    { constructor: { prototype: 1 } },
  ),
  fc.string({ unit: 'binary', maxLength: 300 }),
);

function object(
  schema: JsonSchema,
  inner: (part: unknown) => fc.Arbitrary<unknown>,
): fc.Arbitrary<unknown> {
  const properties = (schema['properties'] ?? {}) as Record<string, JsonSchema>;
  const required = (schema['required'] ?? []) as string[];
  const rest = schema['additionalProperties'];
  if (Object.keys(properties).length === 0 && typeof rest === 'object') {
    const names = text((schema['propertyNames'] as JsonSchema | undefined) ?? {});
    return fc.dictionary(names, inner(rest), { maxKeys: 4 });
  }
  const fields = Object.fromEntries(Object.entries(properties).map(([k, v]) => [k, inner(v)]));
  return fc.record(fields, { requiredKeys: required });
}

function text(schema: JsonSchema): fc.Arbitrary<string> {
  if (schema['format'] === 'date-time') {
    return fc
      .date({ min: new Date('1990-01-01'), max: new Date('2030-01-01'), noInvalidDate: true })
      .map((date) => date.toISOString());
  }
  const pattern = schema['pattern'] as string | undefined;
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern), { maxLength: 40 });
  const minLength = (schema['minLength'] as number | undefined) ?? 0;
  return fc.oneof(
    fc.constantFrom(...FAMILIAR),
    fc.string({
      minLength,
      maxLength: Math.min((schema['maxLength'] as number | undefined) ?? 40, 40),
    }),
  );
}

function integer(schema: JsonSchema): fc.Arbitrary<number> {
  const min = Math.max((schema['minimum'] as number | undefined) ?? -1e15, -1e15);
  const max = Math.min((schema['maximum'] as number | undefined) ?? 1e15, 1e15);
  const fits = (n: number) => n >= min && n <= max;
  return fc.oneof(
    fc.integer({ min: Math.max(min, -1_000), max: Math.min(max, 200) }),
    fc.constantFrom(...[8, 16, 32, 64, min, max].filter(fits)),
  );
}

function mutate(value: unknown, at: number, other: unknown, how: string): unknown {
  if (Array.isArray(value) && value.length > 0) {
    const index = at % value.length;
    const inner = mutate(value[index], Math.floor(at / value.length), other, how);
    return value.map((entry: unknown, i) => (i === index ? inner : entry));
  }
  if (typeof value === 'object' && value !== null && Object.keys(value).length > 0) {
    const keys = Object.keys(value);
    const key = keys[at % keys.length]!;
    const { [key]: field, ...rest } = value as Record<string, unknown>;
    if (how === 'remove') return rest;
    if (how === 'add') return { ...value, [(JSON.stringify(other) ?? '').slice(0, 20)]: other };
    return { ...rest, [key]: at % 3 === 0 ? other : mutate(field, Math.floor(at / 7), other, how) };
  }
  return other;
}
