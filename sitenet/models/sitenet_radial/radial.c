/* Attention with radial functions, forward and backward, for float32 on CPUs: `RadialAttention` in radial.py.

   A pair's features live in registers only: it reads the rows of its far site and of two knots of the table of
   radial functions, and the backward pass computes its weights' gradient again from the same rows. Heads vary
   fastest within a row, so a vector of LANES channels holds every head equally often: lane l belongs to head
   l mod heads, and sums over a head's channels take no horizontal additions. Chunks are runs of whole
   crystals: nothing that one writes is shared with another but the table's gradient, to which chunks are added in
   their order, so that results do not depend on the number of threads. */

#include "../base/vectors.h"

#include <omp.h>

enum { STRIDE = 16 }; /* floats between the weights of pairs, each head's repeated; LANES in kernels.py */

typedef struct {
    int64_t threads, chunks, heads, width, knots;
    const int64_t *chunk_rows;   /* (chunks + 1) first site class of each chunk */
    const int64_t *row_starts;   /* (N + 1) first pair of each site class */
    const int64_t *far_sites;    /* (E) */
    const int64_t *knot;         /* (E) knot below each pair's place in the table */
    const float *fraction;       /* (E) its distance to that knot, in units of the spacing */
    const float *log_counts;     /* (E) logarithm of the copies of each pair */
    const float *query, *key, *value; /* (N, width), logits' scale in the query */
    const float *table;          /* (knots, 2 width + STRIDE) filters of values | of keys | bias of the logits */
    float *alpha;                /* (E, STRIDE) */
    float *mixed;                /* (N, width) filtered values weighted by alpha */
    const float *d_mixed;
    float *d_query;              /* (N, width) */
    float *d_key, *d_value;      /* (N, width), zero at the start */
    float *d_table;              /* (knots, 2 width + STRIDE), zero at the start */
    float *scratch;              /* (threads, knots, 2 width + STRIDE) */
} Block;

#define INLINE static inline __attribute__((always_inline))

/* Sums over each head's channels, in all lanes of the head. */
INLINE vec sum_heads(vec x, int64_t heads) {
    ivec lane;
    for (int l = 0; l < LANES; l++) lane[l] = l;
    for (int step = LANES / 2; step >= heads; step /= 2) x += __builtin_shuffle(x, lane ^ step);
    return x;
}

/* n = width / LANES is a constant where it matters, so that sums over a row stay in registers. */
INLINE void forward_row(const Block *b, int64_t row, const int64_t n, int64_t heads) {
    const int64_t start = b->row_starts[row], stop = b->row_starts[row + 1], stride = 2 * b->width + STRIDE;
    const vec *query = (const vec *)(b->query + row * b->width);
    vec highest = splat(-INFINITY), total = {}, mixed[n];
    for (int64_t q = start; q < stop; q++) {
        const vec *key = (const vec *)(b->key + b->far_sites[q] * b->width);
        const vec *low = (const vec *)(b->table + b->knot[q] * stride + b->width);
        const vec *high = (const vec *)((const float *)low + stride);
        const float fraction = b->fraction[q];
        vec logit = {};
        for (int64_t k = 0; k < n; k++) logit += query[k] * key[k] * (low[k] + fraction * (high[k] - low[k]));
        logit = sum_heads(logit, heads) + low[n] + fraction * (high[n] - low[n]) + b->log_counts[q];
        *(vec *)(b->alpha + q * STRIDE) = logit;
        highest = select_(logit > highest, logit, highest);
    }
    for (int64_t k = 0; k < n; k++) mixed[k] = splat(0);
    for (int64_t q = start; q < stop; q++) {
        const vec *value = (const vec *)(b->value + b->far_sites[q] * b->width);
        const vec *low = (const vec *)(b->table + b->knot[q] * stride);
        const vec *high = (const vec *)((const float *)low + stride);
        vec *alpha = (vec *)(b->alpha + q * STRIDE), below = *alpha - highest;
        vec weight = exponential(below) + (below - below); /* not a number where the logit is none */
        *alpha = weight;
        total += weight;
        for (int64_t k = 0; k < n; k++) mixed[k] += weight * value[k] * (low[k] + b->fraction[q] * (high[k] - low[k]));
    }
    vec scale = 1.0f / total;
    for (int64_t k = 0; k < n; k++) ((vec *)(b->mixed + row * b->width))[k] = mixed[k] * scale;
    for (int64_t q = start; q < stop; q++) *(vec *)(b->alpha + q * STRIDE) *= scale;
}

/* With d_alpha = d_mixed . (filter value), softmax has d_logit = alpha (d_alpha - sum over the row of
   alpha d_alpha), and that sum is d_mixed . mixed. */
INLINE void backward_row(const Block *b, float *d_table, int64_t row, const int64_t n, int64_t heads) {
    const int64_t start = b->row_starts[row], stop = b->row_starts[row + 1], stride = 2 * b->width + STRIDE;
    const vec *query = (const vec *)(b->query + row * b->width), *mixed = (const vec *)(b->mixed + row * b->width);
    const vec *d_mixed = (const vec *)(b->d_mixed + row * b->width);
    vec d_total = {}, d_query[n], filter[n];
    for (int64_t k = 0; k < n; k++) d_total += d_mixed[k] * mixed[k], d_query[k] = splat(0);
    d_total = sum_heads(d_total, heads);
    for (int64_t q = start; q < stop; q++) {
        const int64_t far = b->far_sites[q] * b->width, place = b->knot[q] * stride;
        const vec *key = (const vec *)(b->key + far), *value = (const vec *)(b->value + far);
        const vec *low = (const vec *)(b->table + place), *high = (const vec *)(b->table + place + stride);
        vec *d_key = (vec *)(b->d_key + far), *d_value = (vec *)(b->d_value + far);
        vec *d_low = (vec *)(d_table + place), *d_high = (vec *)(d_table + place + stride);
        const vec alpha = *(const vec *)(b->alpha + q * STRIDE);
        const float fraction = b->fraction[q];
        vec d_logit = {};
        for (int64_t k = 0; k < n; k++) {
            filter[k] = low[k] + fraction * (high[k] - low[k]);
            d_logit += d_mixed[k] * (value[k] * filter[k]);
        }
        d_logit = alpha * (sum_heads(d_logit, heads) - d_total);
        for (int64_t k = 0; k < n; k++) {
            vec weighted = alpha * d_mixed[k], d_filter = weighted * value[k];
            d_value[k] += weighted * filter[k];
            d_high[k] += fraction * d_filter;
            d_low[k] += d_filter - fraction * d_filter;
        }
        for (int64_t k = 0; k < n; k++) {
            vec key_filter = low[n + k] + fraction * (high[n + k] - low[n + k]);
            vec d_product = d_logit * query[k], d_filter = d_product * key[k];
            d_query[k] += d_logit * key[k] * key_filter;
            d_key[k] += d_product * key_filter;
            d_high[n + k] += fraction * d_filter;
            d_low[n + k] += d_filter - fraction * d_filter;
        }
        d_high[2 * n] += fraction * d_logit;
        d_low[2 * n] += d_logit - fraction * d_logit;
    }
    for (int64_t k = 0; k < n; k++) ((vec *)(b->d_query + row * b->width))[k] = d_query[k];
}

/* The usual sizes get loops of constant length. */
void radial_forward(const Block *b) {
    const int64_t n = b->width / LANES, usual = b->width == 128 && b->heads == 8;
#pragma omp parallel for schedule(dynamic, 1) num_threads(b->threads)
    for (int64_t chunk = 0; chunk < b->chunks; chunk++)
        for (int64_t row = b->chunk_rows[chunk]; row < b->chunk_rows[chunk + 1]; row++)
            if (usual) forward_row(b, row, 128 / LANES, 8);
            else forward_row(b, row, n, b->heads);
}

void radial_backward(const Block *b) {
    const int64_t n = b->width / LANES, usual = b->width == 128 && b->heads == 8;
    const int64_t size = b->knots * (2 * b->width + STRIDE);
#pragma omp parallel num_threads(b->threads)
    {
        float *own = b->scratch + omp_get_thread_num() * size;
#pragma omp for schedule(dynamic, 1) ordered
        for (int64_t chunk = 0; chunk < b->chunks; chunk++) {
            memset(own, 0, size * sizeof(float));
            for (int64_t row = b->chunk_rows[chunk]; row < b->chunk_rows[chunk + 1]; row++)
                if (usual) backward_row(b, own, row, 128 / LANES, 8);
                else backward_row(b, own, row, n, b->heads);
#pragma omp ordered
            for (int64_t i = 0; i < size; i++) b->d_table[i] += own[i];
        }
    }
}
