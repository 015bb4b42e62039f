/**
 * What a route is: one record that the pipeline, the OpenAPI document and the tests all read. A handler
 * gets parsed, typed input and never sees the request.
 */
import type { Scope } from '@nestrec/contracts';
import type { ErrorClass } from '@nestrec/errors';
import type { ReadinessGate, Verdict } from '@nestrec/runtime';
import type { ApiKey } from '@nestrec/storage';
import type { z } from 'zod';
import type { ApiDeps } from '../deps.js';
import type { Overload } from '../limits/overload.js';
import type { ApiSettings } from '../settings.js';
import type { ApiMetrics } from './api-metrics.js';

/** Who may call: anybody; a key with one of the scopes; or operators (see `operator-access.ts`). */
export type Access =
  | { readonly kind: 'public' }
  | { readonly kind: 'operator' }
  | { readonly kind: 'scopes'; readonly anyOf: readonly Scope[] };

/** The settings that limit the size of bodies. */
export type BodyLimit = keyof Pick<
  ApiSettings,
  'bodyLimitBytes' | 'eventsBodyLimitBytes' | 'itemsBodyLimitBytes'
>;

/** The client behind a valid key. */
export type Client = Pick<ApiKey, 'publicId' | 'client' | 'tier' | 'scopes'>;

/** What a handler may use beside its input. */
export interface RouteContext {
  readonly deps: ApiDeps;
  readonly settings: ApiSettings;
  readonly metrics: ApiMetrics;
  readonly gate: ReadinessGate;
  readonly readiness: () => Promise<Record<string, Verdict>>;
  /** Forgets what is remembered of a key, so that a revocation acts in this process at once. */
  readonly forgetKey: (publicId: string) => void;
  /** Forgets what is remembered of all keys. */
  readonly forgetKeys: () => void;
  readonly overload: Overload;
  /** The OpenAPI document of the API that is served, as JSON. */
  readonly openApiJson: () => string;
  readonly requestId: string;
}

/** An answer: JSON that is checked against the route's schema, or content as it is. */
export type Answer =
  | {
      readonly status: number;
      readonly body: unknown;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly status: number; readonly content: string | Uint8Array; readonly contentType: string }
  | { readonly status: number };

/** A documented success: with a schema (JSON), with a content type (as it is), or with neither (empty). */
export interface AnswerSpec {
  readonly description: string;
  readonly schema?: z.ZodType;
  readonly contentType?: string;
  /** The JSON is a problem (application/problem+json). */
  readonly problem?: true;
}

export type Shape = z.ZodObject | undefined;
type Parsed<S extends Shape> = S extends z.ZodObject ? z.infer<S> : undefined;

export interface RouteInput<P extends Shape, Q extends Shape, B extends Shape> {
  readonly params: Parsed<P>;
  readonly query: Parsed<Q>;
  readonly body: Parsed<B>;
}

interface RouteBase<P extends Shape, Q extends Shape, B extends Shape> {
  readonly method: 'get' | 'post' | 'put' | 'delete';
  /** OpenAPI template: `/v1/items/{id}`. */
  readonly path: string;
  readonly summary: string;
  readonly description?: string;
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** Absent: the general limit. */
  readonly bodyLimit?: BodyLimit;
  /** Bodies that one process reads and works on at once, and how many more may wait; absent: any number. */
  readonly turns?: { readonly atOnce: number; readonly waiting: number };
  /** A list of the body whose length counts as size: above it the answer is 413, not 422. */
  readonly listLimit?: { readonly field: string; readonly entries: number };
  readonly answers: Readonly<Record<number, AnswerSpec>>;
  /** What the handler itself may raise; the pipeline's own errors are added by `documented-errors.ts`. */
  readonly errors: readonly ErrorClass[];
}

interface ScopedRoute<P extends Shape, Q extends Shape, B extends Shape> extends RouteBase<
  P,
  Q,
  B
> {
  readonly access: Extract<Access, { kind: 'scopes' }>;
  handler(
    input: RouteInput<P, Q, B>,
    context: RouteContext & { readonly client: Client },
  ): Promise<Answer>;
}

interface OpenRoute<P extends Shape, Q extends Shape, B extends Shape> extends RouteBase<P, Q, B> {
  readonly access: Exclude<Access, { kind: 'scopes' }>;
  handler(input: RouteInput<P, Q, B>, context: RouteContext): Promise<Answer>;
}

/** A route whose types have served their purpose; the pipeline guarantees what they promised. */
export interface Route extends RouteBase<z.ZodObject, z.ZodObject, z.ZodObject> {
  readonly access: Access;
  handle(
    input: { params: unknown; query: unknown; body: unknown },
    context: RouteContext,
    client: Client | null,
  ): Promise<Answer>;
}

/** A route that needs a key: its handler gets the client behind it. */
export function defineRoute<
  P extends Shape = undefined,
  Q extends Shape = undefined,
  B extends Shape = undefined,
>(spec: ScopedRoute<P, Q, B>): Route {
  return {
    ...(spec as unknown as RouteBase<z.ZodObject, z.ZodObject, z.ZodObject>),
    access: spec.access,
    handle: (input, context, client) =>
      spec.handler(input as RouteInput<P, Q, B>, { ...context, client: client! }),
  };
}

/** A route of the operators' side: health, metrics, documentation. */
export function defineOpenRoute<
  P extends Shape = undefined,
  Q extends Shape = undefined,
  B extends Shape = undefined,
>(spec: OpenRoute<P, Q, B>): Route {
  return {
    ...(spec as unknown as RouteBase<z.ZodObject, z.ZodObject, z.ZodObject>),
    access: spec.access,
    handle: (input, context) => spec.handler(input as RouteInput<P, Q, B>, context),
  };
}
