/** JSON members that would reach a prototype if anything copied or merged them, and a look at what they would change. */
import { expect } from 'vitest';

export const POLLUTING_MEMBERS: readonly string[] = [
  '"__proto__":{"polluted":1}',
  '"__proto__":[1]',
  '"__proto__":null',
  '"constructor":{"prototype":{"polluted":1}}',
  '"prototype":{"polluted":1}',
  '"\\u005f_proto__":{"polluted":1}',
  '"__proto__":{"__proto__":{"polluted":1}}',
  '"constructor":{"__proto__":{"polluted":1}}',
];

/** How many objects a JSON text has. */
export const objectsIn = (json: string): number => opensOf(json).length;

/** Puts a member into one of the objects of a JSON text: at its beginning, or behind what it has. */
export function withMember(json: string, member: string, at: number): string {
  const opens = opensOf(json);
  const open = opens[at % opens.length]!;
  const isEmpty = json[open + 1] === '}';
  return `${json.slice(0, open + 1)}${member}${isEmpty ? '' : ','}${json.slice(open + 1)}`;
}

/** Texts are passed over whole: a brace in one opens nothing. */
function opensOf(json: string): number[] {
  return [...json.matchAll(/"(?:[^"\\]|\\.)*"|\{/g)]
    .filter(([found]) => found === '{')
    .map((match) => match.index);
}

const NAMES = Object.getOwnPropertyNames(Object.prototype).sort();

/** Throws where any object of this process became another one. */
export function expectUnpolluted(...others: unknown[]): void {
  const probes = [{}, [], () => 0, '', 1, Object.create(Object.prototype), new Map(), ...others];
  for (const probe of probes) {
    expect((probe as Record<string, unknown>)['polluted']).toBeUndefined();
  }
  expect(Object.getOwnPropertyNames(Object.prototype).sort()).toEqual(NAMES);
}
