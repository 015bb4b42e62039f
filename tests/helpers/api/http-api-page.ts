/** docs/http-api.md, from the route table: what each route takes, answers and refuses. */
import { z } from 'zod';
import { documentedErrors } from '../../../services/api/src/http/documented-errors.js';
import type { Route } from '../../../services/api/src/http/route.js';
import { DEFAULT_API_SETTINGS as LIMITS } from '../../../services/api/src/settings.js';

const seconds = (ms: number) => `${ms / 1_000} s`;
const bytes = (count: number) => count.toLocaleString('en-US');

const HEAD = `# HTTP API

Generated from the route table of \`services/api\` (renew it by \`npm test -- --project unit http-api-page -u\`); a test holds the two equal. The whole contract with all schemas is served at \`/openapi.json\` (OpenAPI 3.1) and shown at \`/docs\`.

## Rules for every request

- **Keys.** \`Authorization: Bearer rk_live_...\`, in the header only: a key in a URL is 400 \`key_in_url\`. A missing, malformed, unknown, expired and revoked key get the same 401. A key has scopes and a tier; no scope includes another. A bearer key can be replayed by whoever holds it until it is revoked. A revocation acts at once in the process that answers it, and within ${seconds(LIMITS.keyCacheMs)} (the lifetime of the key cache) in others.
- **This machine.** \`/metrics\`, \`/openapi.json\` and \`/docs\` need no key from the same machine (a loopback connection without forwarding headers); from elsewhere a key with the scope \`admin\`, unless \`openOperations\` opens them. \`/healthz\` and \`/readyz\` never need a key.
- **Limits of a tier.** A client (all its keys together) may send \`burst\` requests in a sliding window of \`burst / requests_per_second\` seconds, over all processes, and has at most \`max_concurrency\` in flight. Beyond: 429 \`rate_limited\` with \`Retry-After\`. Answers carry \`RateLimit-Policy: "client";q=QUOTA;w=SECONDS\` and \`RateLimit: "client";r=LEFT;t=SECONDS\` (draft-ietf-httpapi-ratelimit-headers) where the tier has a limit of rate. Requests without a valid key are limited by address: ${bytes(LIMITS.addressLimit)} in ${seconds(LIMITS.addressWindowMs)}.
- **Overload.** Ranked lists may come at a smaller size (\`served_by.degraded\` says so, and names the plan that was asked for where another was cheaper), or be refused with 503 \`overloaded\`, as the tier's policy has it.
- **Ids** are opaque strings of 1 to 256 bytes of UTF-8 without control characters and lone surrogates, kept as sent: no case folding, no normalisation.
- **Times** are RFC 3339 with a zone or epoch milliseconds, from 2000-01-01 to five minutes ahead; answers are RFC 3339.
- **Bodies** are UTF-8 JSON objects (\`application/json\`) of at most ${bytes(LIMITS.bodyLimitBytes)} bytes (events: ${bytes(LIMITS.eventsBodyLimitBytes)}, items in bulk: ${bytes(LIMITS.itemsBodyLimitBytes)}), counted after decompression (gzip, deflate, br), at most 8 levels deep. A key that stands twice in one object is refused, and so are unknown fields and the keys \`__proto__\`, \`constructor\` and \`prototype\` at any depth. A process reads only so many bytes of bodies above 16 kB at once, no client all of them; some wait, and beyond these the answer is 429 with \`Retry-After\`: send the same again. While it is read such a body, or one of \`PUT /v1/items\`, must bring ${bytes(LIMITS.bodyMinBytesPerSecond)} bytes a second, averaged over ${seconds(LIMITS.bodyWindowMs)} (both can be set), else 408 \`request_timeout\` and the end of the connection.
- **Query parameters** stand once each; unknown ones are 400.
- **Errors** are \`application/problem+json\` with a \`code\` of [the catalogue](errors.md). 400: the request has a form that no request may have. 422: a value is out of range. 503 comes with \`Retry-After\`. A wrong method is 405 with \`Allow\`.
- **Request ids.** Every answer has \`X-Request-Id\`: the trace id of a W3C \`traceparent\`, or a new one. It stands in the log and in problems.
- **Limits of the connection.** Headers within ${seconds(LIMITS.headersTimeoutMs)}, the whole request within ${seconds(LIMITS.requestTimeoutMs)} (408); a client that does not read its answer for ${seconds(LIMITS.sendTimeoutMs)} is cut; at most ${bytes(LIMITS.maxConnections)} connections.
- **Read your writes.** \`POST /v1/events\` gives a token; \`after=TOKEN\` waits up to ${seconds(LIMITS.afterTimeoutMs)} until those events are in the state, else 503 \`state_not_ready\`.
- **Logs** hold no keys, bodies or URLs; a user id only as a keyed hash.

## Routes
`;

export function renderHttpApiPage(routes: readonly Route[]): string {
  return `${HEAD}\n${routes.map(section).join('\n')}`;
}

function section(route: Route): string {
  const { access } = route;
  const needs =
    access.kind === 'scopes'
      ? `a key with the scope ${access.anyOf.map((scope) => `\`${scope}\``).join(' or ')}`
      : access.kind === 'operator'
        ? 'nothing on this machine; elsewhere a key with the scope `admin`'
        : 'no key';
  const answers = Object.entries(route.answers).map(
    ([status, answer]) => `- ${status}: ${answer.description}`,
  );
  const errors = documentedErrors(route).map((e) => `${e.traits.status} \`${e.code}\``);
  return [
    `### ${route.method.toUpperCase()} ${route.path}`,
    '',
    [`${route.summary}.`, route.description].filter(Boolean).join(' '),
    '',
    `Needs ${needs}.`,
    ...fields('Query', route.query),
    ...fields('Body', route.body),
    '',
    ...answers,
    `- Errors: ${errors.join(', ')}`,
    '',
  ].join('\n');
}

interface FieldSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
  readonly anyOf?: readonly FieldSchema[];
  /** A schema that has a name: that is said instead of its type. */
  readonly $ref?: string;
}

function fields(title: string, schema: z.ZodObject | undefined): string[] {
  if (schema === undefined) return [];
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as {
    properties?: Record<string, FieldSchema>;
    required?: string[];
  };
  const rows = Object.entries(json.properties ?? {}).map(([name, field]) => {
    const isRequired = json.required?.includes(name) ?? false;
    const about = [describe(field), field.description].filter(Boolean).join('. ');
    return `| \`${name}\` | ${isRequired ? 'yes' : 'no'} | ${about} |`;
  });
  return ['', `| ${title} | required | |`, '|---|---|---|', ...rows];
}

const nameOf = ({ $ref }: FieldSchema) => $ref?.split('/').at(-1) ?? '';

function describe(field: FieldSchema): string {
  const parts = [
    field.anyOf?.map((one) => one.type ?? '').join(' or ') ?? field.type ?? nameOf(field),
  ];
  if (field.enum !== undefined) parts.push(field.enum.map((value) => `\`${value}\``).join(', '));
  const bounded = Math.abs(field.maximum ?? Infinity) < Number.MAX_SAFE_INTEGER;
  if (bounded && field.minimum !== undefined) parts.push(`${field.minimum} to ${field.maximum}`);
  if (field.maxItems !== undefined) parts.push(`at most ${field.maxItems}`);
  if (field.default !== undefined) parts.push(`default ${JSON.stringify(field.default)}`);
  return parts.join(', ');
}
