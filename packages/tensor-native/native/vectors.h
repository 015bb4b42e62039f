/*
 * One vector of floats as wide as the target compiled for, and the few operations that differ
 * between targets.
 *
 * Written with the vector extensions of gcc and clang. Every file that includes this is compiled
 * once per target (see target.c); MR x NR is the tile of a product that the target's registers
 * hold.
 */
#ifndef NESTREC_VECTORS_H
#define NESTREC_VECTORS_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) || defined(__AVX2__) || defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define VW 16 /* floats in a vector */
#define MR 14 /* rows of a tile: 14 x 2 sums, 2 columns and a factor fit 32 registers */
#elif defined(__AVX2__)
#define VW 8
#define MR 6
#elif defined(__aarch64__)
#define VW 4
#define MR 12
#else
#define VW 4
#define MR 4
#endif
#define NV 2 /* vectors in a row of a tile */
#define NR (NV * VW)

typedef float vf __attribute__((vector_size(VW * 4)));
typedef int32_t vi __attribute__((vector_size(VW * 4)));
/* The same without the promise of alignment. */
typedef float vfu __attribute__((vector_size(VW * 4), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

INLINE vf load(const float *p) { return *(const vfu *)p; }
INLINE void store(float *p, vf v) { *(vfu *)p = v; }
INLINE vf splat(float x) { return x - (vf){0}; }

/*
 * a * b + c in one rounding where the target has it. Said outright and not left to the compiler,
 * which may round the product here and not there: scores that are compared must be rounded alike
 * (ranks.c).
 */
INLINE vf multiply_add(vf a, vf b, vf c) {
#if defined(__AVX512F__)
  return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
  return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
  return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}

INLINE vf vmax(vf a, vf b) {
#if defined(__AVX512F__)
  return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
  return (vf)_mm_max_ps((__m128)a, (__m128)b);
#elif defined(__aarch64__)
  return (vf)vmaxq_f32((float32x4_t)a, (float32x4_t)b);
#else
  vi larger = a > b;
  return (vf)((larger & (vi)a) | (~larger & (vi)b));
#endif
}

/* Whether any element of a is larger than that of b. */
INLINE int any_larger(vf a, vf b) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GT_OQ)) != 0;
#elif defined(__SSE2__)
  return _mm_movemask_ps(_mm_cmpgt_ps((__m128)a, (__m128)b)) != 0;
#elif defined(__aarch64__)
  return vmaxvq_u32(vcgtq_f32((float32x4_t)a, (float32x4_t)b)) != 0;
#else
  vi larger = a > b;
  int any = 0;
  for (int i = 0; i < VW; i++) any |= larger[i];
  return any;
#endif
}

INLINE vf vsqrt(vf x) {
#if defined(__AVX512F__)
  return (vf)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX2__)
  return (vf)_mm256_sqrt_ps((__m256)x);
#elif defined(__SSE2__)
  return (vf)_mm_sqrt_ps((__m128)x);
#elif defined(__aarch64__)
  return (vf)vsqrtq_f32((float32x4_t)x);
#else
  for (int i = 0; i < VW; i++) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

/* Sum and largest of a vector's elements; the order of additions is fixed. */
INLINE float sum_of(vf v) {
  float parts[VW];
  store(parts, v);
  for (int half = VW / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) parts[i] += parts[i + half];
  return parts[0];
}
INLINE float max_of(vf v) {
  float parts[VW];
  store(parts, v);
  for (int half = VW / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++)
      parts[i] = parts[i] > parts[i + half] ? parts[i] : parts[i + half];
  return parts[0];
}

/* The first `count` elements at p, and zeros. */
INLINE vf load_part(const float *p, int count) {
  if (count >= VW) return load(p);
  float parts[VW] = {0};
  memcpy(parts, p, (size_t)count * sizeof(float));
  return load(parts);
}
INLINE void store_part(float *p, vf v, int count) {
  if (count >= VW) {
    store(p, v);
    return;
  }
  float parts[VW];
  store(parts, v);
  memcpy(p, parts, (size_t)count * sizeof(float));
}

#define LOG2E 1.44269504088896340736f
#define EXP_SMALLEST -86.0f

/*
 * e^x for x in [-86, 88], smaller ones as -86, within 3e-7 relative: x log2(e) = n + f with |f| <=
 * 1/2; a polynomial gives 2^f (Taylor in f ln 2, 7 terms: the rest is below 1e-7), and n is added
 * to its exponent.
 */
INLINE vf exp_of(vf x) {
  const float round =
      12582912.0f; /* 1.5 * 2^23: adding it leaves the nearest whole number in the low bits */
  x = vmax(x, splat(EXP_SMALLEST));
  vf shifted = x * LOG2E + round;
  vf f = x * LOG2E - (shifted - round);
  vf p = splat(1.5403530e-4f);
  p = p * f + 1.3333558e-3f;
  p = p * f + 9.6181291e-3f;
  p = p * f + 5.5504109e-2f;
  p = p * f + 2.4022651e-1f;
  p = p * f + 6.9314718e-1f;
  p = p * f + 1.0f;
  return (vf)((vi)p + ((vi)shifted << 23));
}

#endif
