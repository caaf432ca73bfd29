/* Vectors of floats and what the kernels do with them. */

#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#ifdef __clang__ /* whose version begins with its name */
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif
#if defined(__AVX512F__)
#define INSTRUCTIONS "avx512f"
#elif defined(__AVX2__)
#define INSTRUCTIONS "avx2"
#elif defined(__ARM_NEON)
#define INSTRUCTIONS "neon"
#else
#define INSTRUCTIONS "generic"
#endif
const char *const built_by = COMPILER " " INSTRUCTIONS;

#ifdef __AVX512F__
enum { LANES = 16 }; /* floats of a vector */
#else
enum { LANES = 8 };
#endif
typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

static inline vec select_(ivec mask, vec a, vec b) { return (vec)((mask & (ivec)a) | (~mask & (ivec)b)); }
static inline vec splat(float x) { return x - (vec){}; }

/* max(min(x, highest), lowest) */
static inline vec limited(vec x, float lowest, float highest) {
#ifdef __AVX512F__
    return (vec)_mm512_max_ps(_mm512_min_ps((__m512)x, (__m512)splat(highest)), (__m512)splat(lowest));
#else
    x = select_(x < highest, x, splat(highest));
    return select_(x > lowest, x, splat(lowest));
#endif
}

/* Lane l gets what lane l ^ step had. */
static inline vec exchange(vec x, int step) {
    vec y;
    for (int l = 0; l < LANES; l++) y[l] = x[l ^ step];
    return y;
}

static inline float sum(vec x) {
#pragma GCC unroll 4
    for (int step = LANES / 2; step; step /= 2) x += exchange(x, step);
    return x[0];
}

/* 1 / x, relative error 1e-7; a division takes as long as a dozen products. */
static inline vec reciprocal(vec x) {
#ifdef __AVX512F__
    const vec r = (vec)_mm512_rcp14_ps((__m512)x);
    return r + r * (1.0f - x * r);
#else
    return 1.0f / x;
#endif
}

/* e^x for -87 <= x <= 20 (clamped), relative error 1e-7: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2]. */
static inline vec exponential(vec x) {
    const vec magic = splat(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    x = limited(x, -87.0f, 20.0f);
    vec shifted = x * 1.44269504f + magic;
    vec n = shifted - magic;
    vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
    vec p = ((1.9875691500e-4f * r + 1.3981999507e-3f) * r + 8.3334519073e-3f) * r + 4.1665795894e-2f;
    p = ((p * r + 1.6666665459e-1f) * r + 5.0000001201e-1f) * r * r + r + 1.0f;
#ifdef __AVX512F__
    return (vec)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
    return (vec)((ivec)p + (((ivec)shifted - (ivec)magic) << 23));
#endif
}

/* log(1 + x) for 0 <= x <= 1, relative error 1e-7: the series of 2 artanh(x / (2 + x)). */
static inline vec log1p_(vec x) {
    const vec s = x / (2.0f + x), t = s * s;
    vec p = ((1.0f / 13 * t + 1.0f / 11) * t + 1.0f / 9) * t + 1.0f / 7;
    p = ((p * t + 1.0f / 5) * t + 1.0f / 3) * t + 1.0f;
    return 2.0f * s * p;
}
