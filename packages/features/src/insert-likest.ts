/** The likest of rows that come one after another. */

/** Keeps the likest `wanted`, in order; of equals the one that came first. */
export function insertLikest(
  rows: number[],
  likeness: number[],
  row: number,
  value: number,
  wanted: number,
): void {
  let place = rows.length;
  while (place > 0 && likeness[place - 1]! < value) place--;
  if (place >= wanted) return;
  rows.splice(place, 0, row);
  likeness.splice(place, 0, value);
  if (rows.length <= wanted) return;
  rows.pop();
  likeness.pop();
}
