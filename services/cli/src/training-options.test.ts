import { InvalidArgumentError } from 'commander';
import { describe, expect, it } from 'vitest';
import { parseExits } from './training-options.js';

describe('--exits', () => {
  it('reads pairs of blocks and size, and none', () => {
    expect(parseExits('1:64')).toEqual([{ blocks: 1, dim: 64 }]);
    expect(parseExits('1:32, 2:64')).toEqual([
      { blocks: 1, dim: 32 },
      { blocks: 2, dim: 64 },
    ]);
    expect(parseExits('none')).toEqual([]);
  });

  it.each(['', '1', '1:', ':64', '0:64', '1:0', '16:64', '1:64,', '1:64:2', 'a:b', '-1:64'])(
    'refuses %j and says what is wanted',
    (text) => {
      expect(() => parseExits(text)).toThrow(InvalidArgumentError);
      expect(() => parseExits(text)).toThrow(/such as 1:64 or 1:32,2:64, or none/);
    },
  );
});
