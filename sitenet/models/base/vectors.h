/* Vectors of floats and what the kernels do with them. */

#include <math.h>
#include <stdint.h>
#include <string.h>

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

/* Lane l gets what lane l ^ step had. */
static inline vec exchange(vec x, int step) {
    vec y;
    for (int l = 0; l < LANES; l++) y[l] = x[l ^ step];
    return y;
}

static inline float sum(vec x) {
    float s = 0;
    for (int lane = 0; lane < LANES; lane++) s += x[lane];
    return s;
}

/* e^x for -87 <= x <= 20 (clamped), relative error 1e-7: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2]. */
static inline vec exponential(vec x) {
    const vec magic = splat(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    x = select_(x < 20.0f, x, splat(20.0f));
    x = select_(x > -87.0f, x, splat(-87.0f));
    vec shifted = x * 1.44269504f + magic;
    vec n = shifted - magic;
    vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
    vec p = ((1.9875691500e-4f * r + 1.3981999507e-3f) * r + 8.3334519073e-3f) * r + 4.1665795894e-2f;
    p = ((p * r + 1.6666665459e-1f) * r + 5.0000001201e-1f) * r * r + r + 1.0f;
    return (vec)((ivec)p + (((ivec)shifted - (ivec)magic) << 23));
}

/* log(1 + x) for 0 <= x <= 1, relative error 1e-7: the series of 2 artanh(x / (2 + x)). */
static inline vec log1p_(vec x) {
    const vec s = x / (2.0f + x), t = s * s;
    vec p = ((1.0f / 13 * t + 1.0f / 11) * t + 1.0f / 9) * t + 1.0f / 7;
    p = ((p * t + 1.0f / 5) * t + 1.0f / 3) * t + 1.0f;
    return 2.0f * s * p;
}
