import { describe, expect, it } from 'vitest';
import { safeText } from './safe-text.js';

describe('safeText', () => {
  it('shows by their codes the characters that steer a terminal or turn its direction', () => {
    expect(safeText('a\u001b[31mred\r\n\u0000\u009b')).toBe(
      'a\\u001b[31mred\\u000d\\u000a\\u0000\\u009b',
    );
    expect(safeText('\u202eabc\u2028\ufeff\ud800')).toBe('\\u202eabc\\u2028\\ufeff\\ud800');
    expect(safeText('\u{e0041}')).toBe('\\u{e0041}');
  });

  it('leaves text of every language as it is', () => {
    const text = 'Zoë, 北京, नमस्ते, 🙂 "quoted" \\ back';
    expect(safeText(text)).toBe(text);
  });
});
