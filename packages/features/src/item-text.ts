/** The text of an item that the text encoder reads: one line per field that the item has. */
import type { Item } from '@nestrec/contracts';

export type TextFields = Pick<Item, 'title' | 'brand' | 'categories'>;

/**
 * Title, brand, and categories joined by commas; absent and blank fields are left out, so it may be ''.
 * No labels: words that every text has would only make all texts alike.
 */
export function itemText(item: TextFields): string {
  const lines: string[] = [];
  if (item.title?.trim()) lines.push(item.title.trim());
  if (item.brand?.trim()) lines.push(item.brand.trim());
  const categories = (item.categories ?? []).map((name) => name.trim()).filter(Boolean);
  if (categories.length > 0) lines.push(categories.join(', '));
  return lines.join('\n');
}
