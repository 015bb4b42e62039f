/**
 * The receipt of an erasure: its place in the log and a part of the hash under which it is remembered. So
 * "not applied yet" can be told from "unknown" by the consumer's position, without a store of our own, and
 * a receipt of a log that was made anew does not fit another erasure.
 */
import { hashErasure, type EventKey } from '@nestrec/storage';
import type { LogPosition } from '../deps.js';

/** 128 bits of the hash. */
const HASH_BYTES = 16;

export interface Receipt extends LogPosition {
  /** The beginning of the erasure's hash, base64url. */
  readonly hash: string;
}

const shorten = (hash: Uint8Array) =>
  Buffer.from(hash.subarray(0, HASH_BYTES)).toString('base64url');

export function encodeReceipt({ partition, offset }: LogPosition, erasure: EventKey): string {
  return `e1.${partition}.${offset}.${shorten(hashErasure(erasure))}`;
}

/** Of a text that `receiptSchema` let through. */
export function decodeReceipt(receipt: string): Receipt {
  const [, partition, offset, hash] = receipt.split('.') as [string, string, string, string];
  return { partition: Number(partition), offset: BigInt(offset), hash };
}

export const fitsReceipt = (receipt: Receipt, hash: Uint8Array): boolean =>
  shorten(hash) === receipt.hash;
