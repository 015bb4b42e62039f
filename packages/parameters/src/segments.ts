/** Nested sizes m_1 < ... < m_M and the segments of coordinates between them. */
export interface Segment {
  readonly begin: number;
  readonly end: number;
  readonly width: number;
}

/** Segment i = coordinates m_(i-1) .. m_i. */
export function segmentsOf(sizes: readonly number[]): readonly Segment[] {
  return sizes.map((end, i) => {
    const begin = i === 0 ? 0 : sizes[i - 1]!;
    return { begin, end, width: end - begin };
  });
}
