/** The text of an item that the text encoder reads: one labelled line per field that the item has. */
import type { Item } from '@nestrec/contracts';

export type TextFields = Pick<Item, 'title' | 'brand' | 'categories'>;

/** `Title: ...\nBrand: ...\nCategories: a, b, c`; absent and blank fields are left out, so it may be ''. */
export function itemText(item: TextFields): string {
  const lines: string[] = [];
  if (item.title?.trim()) lines.push(`Title: ${item.title.trim()}`);
  if (item.brand?.trim()) lines.push(`Brand: ${item.brand.trim()}`);
  const categories = (item.categories ?? []).map((name) => name.trim()).filter(Boolean);
  if (categories.length > 0) lines.push(`Categories: ${categories.join(', ')}`);
  return lines.join('\n');
}
