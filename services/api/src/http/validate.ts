/**
 * Parses parameters and bodies by the route's schemas and turns zod's issues into our errors:
 * an unknown field is 400 `unknown_field`, a bad id 400 `invalid_id`, any other bad value 422.
 */
import {
  excerpt,
  InvalidId,
  InvalidParameter,
  InvalidRequest,
  UnknownField,
  type FieldFault,
} from '@nestrec/errors';
import type { z } from 'zod';

/** Where a value stood; unknown names are a fault of another kind in each place. */
export type Place = 'path' | 'query' | 'body';

/** One bad request may hold thousands of faults; the first ones say enough. */
const SHOWN_FAULTS = 20;

type Issue = z.core.$ZodIssue;

/** @throws UnknownField, InvalidParameter, InvalidId, InvalidRequest */
export function parseInput<S extends z.ZodType>(
  schema: S,
  value: unknown,
  place: Place,
): z.infer<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { issues } = result.error;
  const unknown = issues.filter((issue) => issue.code === 'unrecognized_keys');
  if (unknown.length > 0) throw unknownNames(unknown, schema, place);
  const ids = issues.filter(isIdIssue);
  const fields = faults(ids.length > 0 ? ids : issues, value);
  const detail = describe(fields, issues.length);
  throw ids.length > 0 ? new InvalidId({ fields, detail }) : new InvalidRequest({ fields, detail });
}

/** The text of `detail` for some field faults. */
export function describe(fields: readonly FieldFault[], total = fields.length): string {
  const [first] = fields;
  if (first === undefined) return 'See the list of errors.';
  const more = total > 1 ? ` (and ${total - 1} more)` : '';
  return `${first.path}: got ${first.got}, wanted ${first.want}${more}.`;
}

/** `events[3].user_id` from a zod path. */
export function pathText(path: readonly PropertyKey[]): string {
  const text = path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('');
  return excerpt(text.startsWith('.') ? text.slice(1) : text === '' ? '(body)' : text);
}

function unknownNames(issues: Issue[], schema: z.ZodType, place: Place) {
  const fields: FieldFault[] = [];
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue;
    const known = knownNames(schema, issue.path);
    const want = known.length > 0 ? `only ${known.join(', ')}` : 'no field here';
    for (const key of issue.keys.slice(0, SHOWN_FAULTS)) {
      fields.push({ path: pathText([...issue.path, key]), got: 'an unknown name', want });
    }
  }
  const detail = describe(fields);
  return place === 'body'
    ? new UnknownField({ fields, detail })
    : new InvalidParameter({ fields, detail });
}

/** The names that the object at `path` may have. */
function knownNames(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let current: unknown = schema;
  for (const part of path) current = unwrap(child(unwrap(current), part));
  const shape = shapeOf(unwrap(current));
  return shape === null ? [] : Object.keys(shape);
}

interface Definition {
  readonly shape?: Record<string, unknown>;
  readonly element?: unknown;
  readonly innerType?: unknown;
}

const definitionOf = (schema: unknown): Definition =>
  (schema as { _zod?: { def?: Definition } } | null)?._zod?.def ?? {};

function unwrap(schema: unknown): unknown {
  const { innerType } = definitionOf(schema);
  return innerType === undefined ? schema : unwrap(innerType);
}

function shapeOf(schema: unknown): Record<string, unknown> | null {
  return definitionOf(schema).shape ?? null;
}

function child(schema: unknown, part: PropertyKey): unknown {
  if (typeof part === 'number') return definitionOf(schema).element ?? null;
  const shape = shapeOf(schema);
  return shape !== null && Object.hasOwn(shape, part) ? shape[String(part)] : null;
}

const isIdIssue = (issue: Issue) => issue.code === 'custom' && issue.params?.id === true;

function faults(issues: Issue[], value: unknown): FieldFault[] {
  const byPath = new Map<string, FieldFault>();
  for (const issue of issues) {
    const path = pathText(issue.path);
    if (byPath.size >= SHOWN_FAULTS) break;
    if (!byPath.has(path)) {
      byPath.set(path, { path, got: gotText(issue, value), want: wantText(issue) });
    }
  }
  return [...byPath.values()];
}

function gotText(issue: Issue, value: unknown): string {
  let current = value;
  for (const part of issue.path) {
    if (typeof current !== 'object' || current === null) return 'nothing';
    if (!Object.hasOwn(current, part)) return 'nothing';
    current = (current as Record<PropertyKey, unknown>)[part];
  }
  if (current === undefined) return 'nothing';
  if (Array.isArray(current)) return `a list of ${current.length}`;
  if (typeof current === 'object' && current !== null) return 'an object';
  if (typeof current === 'number' && !Number.isFinite(current)) return 'a number out of range';
  return excerpt(typeof current === 'string' ? JSON.stringify(current.slice(0, 64)) : current);
}

function wantText(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected === 'int' ? 'an integer' : `${article(issue.expected)}`;
    case 'too_small':
      return sizeText(issue.origin, 'at least', issue.minimum);
    case 'too_big':
      return sizeText(issue.origin, 'at most', issue.maximum);
    case 'invalid_value':
      return `one of ${issue.values.map(String).join(', ')}`;
    case 'invalid_format':
      return formatText(issue.format, issue.pattern);
    case 'invalid_union':
      return [...new Set(issue.errors.flatMap((option) => option.slice(0, 1).map(wantText)))].join(
        ' or ',
      );
    case 'invalid_key':
      return `another name for this field: ${issue.issues.slice(0, 1).map(wantText).join()}`;
    case 'custom':
      return issue.params?.id === true ? `an id; this one ${issue.message}` : issue.message;
    default:
      return issue.message;
  }
}

function formatText(format: string, pattern: string | undefined): string {
  if (format === 'datetime') return 'an RFC 3339 time with a zone, as in 2026-11-23T10:00:00Z';
  return format === 'regex' ? `a text of the form ${pattern}` : `a valid ${format}`;
}

function article(name: string): string {
  const words: Record<string, string> = {
    array: 'a list',
    record: 'an object',
    object: 'an object',
  };
  return words[name] ?? `a ${name}`;
}

function sizeText(origin: string, bound: string, limit: number | bigint): string {
  if (origin === 'string') return `${bound} ${limit} characters`;
  if (origin === 'array') return `${bound} ${limit} entries`;
  return `${bound} ${limit}`;
}
