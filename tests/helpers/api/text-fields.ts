/**
 * Every place of the HTTP API in which a caller can put a text: each parameter of a path, each of a query, each
 * value and each free name of a body. Made from the OpenAPI document, so that a new parameter is one more place;
 * a new body needs an entry in BODIES, and a new field of one a value in it.
 */
import { documented } from './document-requests.js';

export interface TextField {
  /** `put /v1/items/{id} body.fields.a` */
  readonly name: string;
  /** The request with `text` in this place. */
  with(text: string): readonly [method: string, path: string, body?: unknown];
}

/** What a body says beside its text must be right: otherwise that is refused, and the text is not looked at. */
const LIST = {
  ...{ k: 5, dim: 4, exclude_seen: true, explain: true, because: true, diversity: 0.5 },
  exclude: ['i0002'],
  filter: {
    and: [
      { field: 'brand', eq: 'b' },
      {
        or: [{ field: 'fields.a', in: ['x', 1, true] }, { not: { field: 'categories', eq: 'c' } }],
      },
      { field: 'fields.a', gte: 'a', lt: 'z' },
    ],
  },
  boosts: [{ filter: { field: 'fields.a', eq: 'x' }, factor: 2 }],
};
const ITEM = {
  ...{ title: 't', brand: 'b', categories: ['c'], available: true },
  fields: { a: 'x' },
};
const EVENT = {
  ...{ event_id: 'e', user_id: 'u', item_id: 'i0001', type: 'view', value: 1 },
  timestamp: '2026-01-01T00:00:00Z',
};

const BODIES: Readonly<Record<string, readonly object[]>> = {
  'post /v1/events': [{ events: [EVENT] }],
  'post /v1/users/{id}/recommendations': [LIST, { cursor: 'c' }, { after: 'a' }],
  'post /v1/sessions/recommendations': [{ items: ['i0001'], ...LIST }, { cursor: 'c' }],
  'post /v1/items/{id}/similar': [
    { k: 5, dim: 4, explain: true, exclude: LIST.exclude, filter: LIST.filter },
  ],
  'put /v1/items/{id}': [ITEM, { features: { image: [1] } }],
  'put /v1/items': [{ items: [{ item_id: 'injected', ...ITEM }] }],
  'post /v1/training-runs': [
    { mode: 'full', publish: false, options: { preset: 'fast', sizes: [4] } },
  ],
  'post /v1/admin/keys': [{ client: 'c', tier: 'basic', scopes: ['recommend'] }],
  'post /v1/admin/clients/{id}/rotate': [{ overlap_seconds: 1 }],
  'put /v1/admin/clients/{id}': [{ tier: 'basic', scopes: ['recommend'] }],
  'put /v1/admin/tiers/{name}': [
    {
      ...{ max_dim: 8, exit_blocks: 1, max_k: 5, requests_per_second: 1, burst: 2 },
      max_concurrency: 1,
    },
  ],
};

/** Objects whose names a caller chooses. All others are closed: another name is refused as such. */
const FREE = ['fields', 'features'];

/** What stands in the places of a path that are not the one in question: nothing that is there. */
const ELSEWHERE = 'nobody';

/** Every place, in the order of the document. */
export function textFields(): TextField[] {
  return documented.flatMap(({ method, path, operation }) => {
    const name = `${method} ${path}`;
    const bodies = BODIES[name];
    if ((bodies === undefined) !== (operation.requestBody === undefined)) {
      throw new Error(
        `${name}: got a body that text-fields.ts does not know, wanted one in BODIES`,
      );
    }
    const url = (part?: string, text = '') =>
      path.replaceAll(/\{(\w+)\}/g, (_, found: string) =>
        found === part ? encodeURIComponent(text) : ELSEWHERE,
      );
    const parameters = (operation.parameters ?? []).map((parameter) => ({
      name: `${name} ${parameter.in}.${parameter.name}`,
      with: (text: string) =>
        [
          method.toUpperCase(),
          parameter.in === 'path'
            ? url(parameter.name, text)
            : `${url()}?${parameter.name}=${encodeURIComponent(text)}`,
          parameter.in === 'path' ? bodies?.[0] : undefined,
        ] as const,
    }));
    const values = (bodies ?? []).flatMap((body) =>
      [...placesOf(body, [])].map((place) => ({
        name: `${name} body.${place.path.join('.')}${place.isName ? ' (name)' : ''}`,
        with: (text: string) => [method.toUpperCase(), url(), replaced(body, place, text)] as const,
      })),
    );
    return [...parameters, ...values];
  });
}

interface Place {
  readonly path: readonly string[];
  /** The name of the member itself, not its value. */
  readonly isName: boolean;
}

/** Every value that is none of others, and every free name. */
function* placesOf(value: unknown, path: readonly string[]): Generator<Place> {
  if (typeof value !== 'object' || value === null) {
    if (value !== undefined) yield { path, isName: false };
    return;
  }
  for (const [name, member] of Object.entries(value)) {
    if (FREE.includes(path.at(-1) ?? '')) yield { path: [...path, name], isName: true };
    yield* placesOf(member, [...path, name]);
  }
}

function replaced(value: unknown, { path, isName }: Place, text: string): unknown {
  const [name, ...rest] = path;
  if (name === undefined) return text;
  const inner = { path: rest, isName };
  if (Array.isArray(value)) {
    return value.map((one: unknown, at) =>
      String(at) === name ? replaced(one, inner, text) : one,
    );
  }
  return Object.fromEntries(
    Object.entries(value as object).map(([key, member]: [string, unknown]) => {
      if (key !== name) return [key, member];
      return rest.length === 0 && isName ? [text, member] : [key, replaced(member, inner, text)];
    }),
  );
}
