/** The query parameter `filter`: the JSON of a filter, held to the same rules as one in a body. */
import { filterSchema, type Filter } from '@nestrec/contracts';
import { InvalidParameter } from '@nestrec/errors';
import { z } from 'zod';
import { MAX_BODY_DEPTH } from '../http/body.js';
import { scanJson } from '../http/json-scan.js';
import { parseInput } from '../http/validate.js';

const schema = z.strictObject({ filter: filterSchema });

/** @throws InvalidParameter where it is no JSON or has unknown names, InvalidRequest for other faults */
export function parseFilterText(text: string | undefined): Filter | undefined {
  if (text === undefined) return undefined;
  // One level less: in a body the filter stands in an object.
  const fault = scanJson(text, MAX_BODY_DEPTH - 1);
  if (fault !== null) {
    const want = `JSON of at most ${MAX_BODY_DEPTH - 1} levels, each key once per object`;
    const got = `${fault.kind.replace('_', ' ')} at character ${fault.position}`;
    throw new InvalidParameter({
      detail: `filter: got ${got} (counted from 0), wanted ${want}.`,
      fields: [{ path: 'filter', got, want }],
    });
  }
  const filter: unknown = JSON.parse(text);
  return parseInput(schema, { filter }, 'query').filter;
}
