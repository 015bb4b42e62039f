/** GET /v1/erasures/{receipt}: whether an erasure is done, and what it took out. */
import { erasureAnswerSchema, receiptSchema, type ErasureAnswer } from '@nestrec/contracts';
import { ErasureNotFound } from '@nestrec/errors';
import type { ErasureStatus } from '@nestrec/storage';
import { z } from 'zod';
import { decodeReceipt } from '../../erasures/receipt.js';
import { defineRoute } from '../../http/route.js';
import { scopes } from '../shared-schemas.js';

export const getErasure = defineRoute({
  method: 'get',
  path: '/v1/erasures/{receipt}',
  summary: 'Look up an erasure',
  description:
    'It is pending until the log has been read up to the erasure; then applied, with what was there to be erased, or rejected, with the reason. The answer names no user.',
  access: scopes('users:erase'),
  params: z.strictObject({ receipt: receiptSchema }),
  answers: { 200: { description: 'What has become of it.', schema: erasureAnswerSchema } },
  errors: [ErasureNotFound],
  async handler({ params }, { deps }) {
    const found = await deps.erasures.find(deps.log.topic, decodeReceipt(params.receipt));
    if (found.status === 'unknown') {
      throw new ErasureNotFound({
        detail: 'The log has been read past its place, and no such erasure was there.',
      });
    }
    return { status: 200, body: answerOf(params.receipt, found) };
  },
});

const at = (ms: number) => new Date(ms).toISOString();

function answerOf(receipt: string, found: ErasureStatus): ErasureAnswer {
  const unknown = { kind: null, requested_at: null, applied_at: null, erased: null, reason: null };
  switch (found.status) {
    case 'applied':
      return {
        ...{ receipt, status: 'applied', kind: found.kind, reason: null },
        ...{ requested_at: at(found.requestedAtMs), applied_at: at(found.appliedAtMs) },
        erased: { events: found.events, states: found.states, dead_letters: found.rejects },
      };
    case 'rejected':
      return { ...unknown, receipt, status: 'rejected', reason: found.reason };
    default:
      return { ...unknown, receipt, status: 'pending' };
  }
}
