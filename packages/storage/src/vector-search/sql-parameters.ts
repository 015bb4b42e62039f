/** Parameters of one statement, numbered in the order in which its parts ask for them. */

export interface Statement {
  readonly text: string;
  readonly params: readonly unknown[];
}

export interface SqlParameters {
  /** Takes a value in; returns how the text names it, `$1` and so on. */
  add(value: unknown): string;
  readonly values: readonly unknown[];
}

export function sqlParameters(): SqlParameters {
  const values: unknown[] = [];
  return { add: (value) => `$${values.push(value)}`, values };
}
