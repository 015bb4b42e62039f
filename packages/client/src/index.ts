/** Typed client of the HTTP API, for Node 20.19 and newer and for browsers. */
export { createClient, type ClientOptions, type NestrecClient } from './client.js';
export { NestrecApiError, NestrecClientError, NestrecConnectionError } from './errors.js';
export { operations, type Operation, type OperationName, type QueryOf } from './operations.js';
export type { CallOptions } from './transport.js';
