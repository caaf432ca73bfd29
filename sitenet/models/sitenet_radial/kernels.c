/* Attention with radial functions, forward and backward, for float32 on CPUs: `RadialAttention` in network.py.

   A pair's features live in registers only: it reads the rows of its far site and of two knots of the table of
   radial functions, and the backward pass computes its weights' gradient again from the same rows. Heads vary
   fastest within a row, so a vector of LANES channels holds every head equally often: lane l belongs to head
   l mod heads, and sums over a head's channels take no horizontal additions. Chunks are runs of whole
   crystals: nothing that one writes is shared with another but the table's gradient, to which chunks are added in
   their order, so that results do not depend on the number of threads. */

#include "../base/vectors.h"

#include <omp.h>

enum { ALPHA_WIDTH = 16 }; /* floats of a pair's weights, the heads' repeated, as in kernels.py */

typedef struct {
    int64_t threads, chunks, heads, width, knots;
    const int64_t *chunk_rows;   /* (chunks + 1) first site class of each chunk */
    const int64_t *row_starts;   /* (N + 1) first pair of each site class */
    const int64_t *far_sites;    /* (E) */
    const int64_t *knot;         /* (E) knot below each pair's place in the table */
    const float *fraction;       /* (E) its distance to that knot, in units of the spacing */
    const float *log_counts;     /* (E) logarithm of the copies of each pair */
    const float *query, *key, *value; /* (N, width), logits' scale in the query */
    const float *table;          /* (knots, 2 width + ALPHA_WIDTH) filters of values | of keys | bias of the logits */
    float *alpha;                /* (E, ALPHA_WIDTH) */
    float *mixed;                /* (N, width) filtered values weighted by alpha */
    const float *d_mixed;
    float *d_query;              /* (N, width) */
    float *d_key, *d_value;      /* (N, width), zero at the start */
    float *d_table;              /* (knots, 2 width + ALPHA_WIDTH), zero at the start */
    float *scratch;              /* (threads, knots, 2 width + ALPHA_WIDTH) */
} KernelArguments;

const int64_t arguments_size = sizeof(KernelArguments);

/* Sums over each head's channels, in all lanes of the head. */
INLINE vec sum_heads(vec x, int64_t heads) {
    for (int step = LANES / 2; step >= heads; step /= 2) x += exchange(x, step);
    return x;
}

/* n = width / LANES is a constant where it matters, so that sums over a row stay in registers. */
INLINE void forward_row(const KernelArguments *a, int64_t row, const int64_t n, int64_t heads) {
    const int64_t start = a->row_starts[row], stop = a->row_starts[row + 1], stride = 2 * a->width + ALPHA_WIDTH;
    const vec *query = (const vec *)(a->query + row * a->width);
    vec highest = splat(-INFINITY), total = {}, mixed[n];
    for (int64_t q = start; q < stop; q++) {
        const vec *key = (const vec *)(a->key + a->far_sites[q] * a->width);
        const vec *low = (const vec *)(a->table + a->knot[q] * stride + a->width);
        const vec *high = (const vec *)((const float *)low + stride);
        const float fraction = a->fraction[q];
        vec logit = {};
        for (int64_t k = 0; k < n; k++) logit += query[k] * key[k] * (low[k] + fraction * (high[k] - low[k]));
        logit = sum_heads(logit, heads) + low[n] + fraction * (high[n] - low[n]) + a->log_counts[q];
        *(vec *)(a->alpha + q * ALPHA_WIDTH) = logit;
        highest = select_(logit > highest, logit, highest);
    }
    for (int64_t k = 0; k < n; k++) mixed[k] = splat(0);
    for (int64_t q = start; q < stop; q++) {
        const vec *value = (const vec *)(a->value + a->far_sites[q] * a->width);
        const vec *low = (const vec *)(a->table + a->knot[q] * stride);
        const vec *high = (const vec *)((const float *)low + stride);
        vec *alpha = (vec *)(a->alpha + q * ALPHA_WIDTH), below = *alpha - highest;
        vec weight = exponential(below) + (below - below); /* not a number where the logit is none */
        *alpha = weight;
        total += weight;
        for (int64_t k = 0; k < n; k++) mixed[k] += weight * value[k] * (low[k] + a->fraction[q] * (high[k] - low[k]));
    }
    vec scale = 1.0f / total;
    for (int64_t k = 0; k < n; k++) ((vec *)(a->mixed + row * a->width))[k] = mixed[k] * scale;
    for (int64_t q = start; q < stop; q++) *(vec *)(a->alpha + q * ALPHA_WIDTH) *= scale;
}

/* With d_alpha = d_mixed . (filter value), softmax has d_logit = alpha (d_alpha - sum over the row of
   alpha d_alpha), and that sum is d_mixed . mixed. */
INLINE void backward_row(const KernelArguments *a, float *d_table, int64_t row, const int64_t n, int64_t heads) {
    const int64_t start = a->row_starts[row], stop = a->row_starts[row + 1], stride = 2 * a->width + ALPHA_WIDTH;
    const vec *query = (const vec *)(a->query + row * a->width), *mixed = (const vec *)(a->mixed + row * a->width);
    const vec *d_mixed = (const vec *)(a->d_mixed + row * a->width);
    vec d_total = {}, d_query[n], filter[n];
    for (int64_t k = 0; k < n; k++) d_total += d_mixed[k] * mixed[k], d_query[k] = splat(0);
    d_total = sum_heads(d_total, heads);
    for (int64_t q = start; q < stop; q++) {
        const int64_t far = a->far_sites[q] * a->width, place = a->knot[q] * stride;
        const vec *key = (const vec *)(a->key + far), *value = (const vec *)(a->value + far);
        const vec *low = (const vec *)(a->table + place), *high = (const vec *)(a->table + place + stride);
        vec *d_key = (vec *)(a->d_key + far), *d_value = (vec *)(a->d_value + far);
        vec *d_low = (vec *)(d_table + place), *d_high = (vec *)(d_table + place + stride);
        const vec alpha = *(const vec *)(a->alpha + q * ALPHA_WIDTH);
        const float fraction = a->fraction[q];
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
    for (int64_t k = 0; k < n; k++) ((vec *)(a->d_query + row * a->width))[k] = d_query[k];
}

/* The usual sizes get loops of constant length. */
void radial_forward(const KernelArguments *a) {
    const int64_t n = a->width / LANES, usual = a->width == 128 && a->heads == 8;
#pragma omp parallel for schedule(dynamic, 1) num_threads(a->threads)
    for (int64_t chunk = 0; chunk < a->chunks; chunk++)
        for (int64_t row = a->chunk_rows[chunk]; row < a->chunk_rows[chunk + 1]; row++)
            if (usual) forward_row(a, row, 128 / LANES, 8);
            else forward_row(a, row, n, a->heads);
}

void radial_backward(const KernelArguments *a) {
    const int64_t n = a->width / LANES, usual = a->width == 128 && a->heads == 8;
    const int64_t size = a->knots * (2 * a->width + ALPHA_WIDTH);
#pragma omp parallel num_threads(a->threads)
    {
        float *own = a->scratch + omp_get_thread_num() * size;
#pragma omp for schedule(dynamic, 1) ordered
        for (int64_t chunk = 0; chunk < a->chunks; chunk++) {
            memset(own, 0, size * sizeof(float));
            for (int64_t row = a->chunk_rows[chunk]; row < a->chunk_rows[chunk + 1]; row++)
                if (usual) backward_row(a, own, row, 128 / LANES, 8);
                else backward_row(a, own, row, n, a->heads);
#pragma omp ordered
            for (int64_t i = 0; i < size; i++) a->d_table[i] += own[i];
        }
    }
}
