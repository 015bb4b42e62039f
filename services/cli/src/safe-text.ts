/**
 * Text of unknown origin for a terminal: what would move the cursor, change colours or turn the direction
 * of writing is shown by its code instead.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;

export function safeText(text: string): string {
  return text.replace(UNSEEN, (character) => {
    const hex = character.codePointAt(0)!.toString(16);
    return hex.length <= 4 ? `\\u${hex.padStart(4, '0')}` : `\\u{${hex}}`;
  });
}
