/* Sums of the moments of pairs, forward and backward, for float32 on CPUs: `plain_moment_sums` in moments.py.

   The components of all degrees of one vector of channels stay in registers while a site's pairs go by. Chunks and the
   order of all sums are as in kernels.c, so that results do not depend on the number of threads. */

#include "../base/vectors.h"

#include <omp.h>

typedef struct {
    int64_t threads, chunks, channels, degree, knots;
    const int64_t *chunk_rows; /* (chunks + 1) first site class of each chunk */
    const int64_t *row_starts; /* (N + 1) first pair of each site class */
    const int64_t *far_sites;  /* (E) */
    const int64_t *knot;       /* (E) knot below each pair's place in the table */
    const float *fraction;     /* (E) its distance to that knot, in units of the spacing */
    const float *weights;      /* (E) copies of each pair */
    const float *moments;      /* (E, M) with M = (degree + 1)^2 - 1 */
    const float *value;        /* (N, channels) */
    const float *table;        /* (knots, degree channels) */
    float *sums;               /* (N, M, channels) */
    const float *d_sums;
    float *d_value;            /* (N, channels), zero at the start */
    float *d_table;            /* (knots, degree channels), zero at the start */
    float *scratch;            /* (threads, knots, degree channels) */
} KernelArguments;

const int64_t arguments_size = sizeof(KernelArguments);

/* The degree is a constant where it matters, so that the sums stay in registers. */
INLINE void forward_row(const KernelArguments *a, int64_t row, int64_t channel, const int64_t degree) {
    const int64_t n = (degree + 1) * (degree + 1) - 1, stride = degree * a->channels;
    vec sums[n];
    for (int64_t k = 0; k < n; k++) sums[k] = splat(0);
    for (int64_t q = a->row_starts[row]; q < a->row_starts[row + 1]; q++) {
        const float *low = a->table + a->knot[q] * stride + channel, *moments = a->moments + q * n;
        const float fraction = a->fraction[q];
        const vec value = a->weights[q] * *(const vec *)(a->value + a->far_sites[q] * a->channels + channel);
        for (int64_t l = 1, k = 0; l <= degree; l++, low += a->channels) {
            const vec below = *(const vec *)low, above = *(const vec *)(low + stride);
            const vec term = value * (below + fraction * (above - below));
            for (int64_t end = k + 2 * l + 1; k < end; k++) sums[k] += term * moments[k];
        }
    }
    for (int64_t k = 0; k < n; k++) *(vec *)(a->sums + (row * n + k) * a->channels + channel) = sums[k];
}

INLINE void backward_row(const KernelArguments *a, float *d_table, int64_t row, int64_t channel, const int64_t degree) {
    const int64_t n = (degree + 1) * (degree + 1) - 1, stride = degree * a->channels;
    vec d_sums[n];
    for (int64_t k = 0; k < n; k++) d_sums[k] = *(const vec *)(a->d_sums + (row * n + k) * a->channels + channel);
    for (int64_t q = a->row_starts[row]; q < a->row_starts[row + 1]; q++) {
        const int64_t place = a->knot[q] * stride + channel, far = a->far_sites[q] * a->channels + channel;
        const float *low = a->table + place, *moments = a->moments + q * n, fraction = a->fraction[q];
        float *d_low = d_table + place;
        const vec value = a->weights[q] * *(const vec *)(a->value + far);
        vec d_value = {};
        for (int64_t l = 1, k = 0; l <= degree; l++, low += a->channels, d_low += a->channels) {
            const vec below = *(const vec *)low, above = *(const vec *)(low + stride);
            vec d_term = {};
            for (int64_t end = k + 2 * l + 1; k < end; k++) d_term += d_sums[k] * moments[k];
            d_value += d_term * (below + fraction * (above - below));
            const vec d_filter = d_term * value;
            *(vec *)(d_low + stride) += fraction * d_filter;
            *(vec *)d_low += d_filter - fraction * d_filter;
        }
        *(vec *)(a->d_value + far) += a->weights[q] * d_value;
    }
}

/* The usual degrees get loops of constant length. */
void moments_forward(const KernelArguments *a) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(a->threads)
    for (int64_t chunk = 0; chunk < a->chunks; chunk++)
        for (int64_t row = a->chunk_rows[chunk]; row < a->chunk_rows[chunk + 1]; row++)
            for (int64_t channel = 0; channel < a->channels; channel += LANES)
                if (a->degree == 2) forward_row(a, row, channel, 2);
                else if (a->degree == 3) forward_row(a, row, channel, 3);
                else if (a->degree == 4) forward_row(a, row, channel, 4);
                else forward_row(a, row, channel, a->degree);
}

void moments_backward(const KernelArguments *a) {
    const int64_t size = a->knots * a->degree * a->channels;
#pragma omp parallel num_threads(a->threads)
    {
        float *own = a->scratch + omp_get_thread_num() * size;
#pragma omp for schedule(dynamic, 1) ordered
        for (int64_t chunk = 0; chunk < a->chunks; chunk++) {
            memset(own, 0, size * sizeof(float));
            for (int64_t row = a->chunk_rows[chunk]; row < a->chunk_rows[chunk + 1]; row++)
                for (int64_t channel = 0; channel < a->channels; channel += LANES)
                    if (a->degree == 2) backward_row(a, own, row, channel, 2);
                    else if (a->degree == 3) backward_row(a, own, row, channel, 3);
                    else if (a->degree == 4) backward_row(a, own, row, channel, 4);
                    else backward_row(a, own, row, channel, a->degree);
#pragma omp ordered
            for (int64_t i = 0; i < size; i++) a->d_table[i] += own[i];
        }
    }
}
