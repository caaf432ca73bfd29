/* Sums of gated messages, forward and backward, for float32 on CPUs: `plain_gated_sums` in gate.py.

   The backward pass computes a pair's message again from the same rows. Chunks and the order of all sums are as in
   sitenet_radial/kernels.c, so that results do not depend on the number of threads. */

#include "vectors.h"

#include <omp.h>

typedef struct {
    int64_t threads, chunks, channels, knots;
    int64_t soft; /* messages end in softplus in place of SiLU */
    const int64_t *chunk_rows; /* (chunks + 1) first site class of each chunk */
    const int64_t *row_starts; /* (N + 1) first pair of each site class */
    const int64_t *far_sites;  /* (E) */
    const int64_t *knot;       /* (E) knot below each pair's place in the table */
    const float *fraction;     /* (E) its distance to that knot, in units of the spacing */
    const float *weights;      /* (E) copies of each pair */
    const float *near, *far;   /* (N, 2 channels) gates | messages */
    const float *table;        /* (knots, 2 channels) */
    float *sums;               /* (N, channels) */
    const float *d_sums;
    float *d_near;             /* (N, 2 channels) */
    float *d_far;              /* (N, 2 channels), zero at the start */
    float *d_table;            /* (knots, 2 channels), zero at the start */
    float *scratch;            /* (threads, knots, 2 channels) */
} KernelArguments;

const int64_t arguments_size = sizeof(KernelArguments);

/* Vector k of a pair's 2 channels before the sigmoid and the function h of the message. */
INLINE vec linear(const vec *near, const vec *far, const vec *low, const vec *high, float fraction, int64_t k) {
    return near[k] + far[k] + low[k] + fraction * (high[k] - low[k]);
}

/* The sigmoids of two vectors with one division; not a number where one of them is none. */
INLINE void sigmoids(vec x, vec y, vec *of_x, vec *of_y) {
    const vec a = 1.0f + exponential(-x), b = 1.0f + exponential(-y), inverse = 1.0f / (a * b) + (x - x) + (y - y);
    *of_x = inverse * b;
    *of_y = inverse * a;
}

/* Gate and h of a message before them, and the slope of h; not a number where one of the arguments is none. */
INLINE void gated(vec x, vec y, const int soft, vec *gate, vec *value, vec *slope) {
    vec share;
    sigmoids(x, y, gate, &share);
    if (soft) {
        const vec e = exponential(select_(y > 0.0f, -y, y));
        *value = select_(y > 0.0f, y, splat(0)) + log1p_(e);
        *slope = share;
    } else {
        *value = share * y;
        *slope = share * (1.0f + y * (1.0f - share));
    }
}

/* n = channels / LANES and soft are constants where it matters, so that sums over a row stay in registers. */
INLINE void forward_row(const KernelArguments *a, int64_t row, const int64_t n, const int soft) {
    const int64_t width = 2 * a->channels;
    const vec *near = (const vec *)(a->near + row * width);
    vec sums[n];
    for (int64_t k = 0; k < n; k++) sums[k] = splat(0);
    for (int64_t q = a->row_starts[row]; q < a->row_starts[row + 1]; q++) {
        const vec *far = (const vec *)(a->far + a->far_sites[q] * width);
        const vec *low = (const vec *)(a->table + a->knot[q] * width), *high = (const vec *)((const float *)low + width);
        const float fraction = a->fraction[q], weight = a->weights[q];
        for (int64_t k = 0; k < n; k++) {
            const vec x = linear(near, far, low, high, fraction, k), y = linear(near, far, low, high, fraction, n + k);
            vec gate, value, slope;
            gated(x, y, soft, &gate, &value, &slope);
            sums[k] += weight * gate * value;
        }
    }
    for (int64_t k = 0; k < n; k++) ((vec *)(a->sums + row * a->channels))[k] = sums[k];
}

INLINE void backward_row(const KernelArguments *a, float *d_table, int64_t row, const int64_t n, const int soft) {
    const int64_t width = 2 * a->channels;
    const vec *near = (const vec *)(a->near + row * width), *d_sums = (const vec *)(a->d_sums + row * a->channels);
    vec d_near[2 * n];
    for (int64_t k = 0; k < 2 * n; k++) d_near[k] = splat(0);
    for (int64_t q = a->row_starts[row]; q < a->row_starts[row + 1]; q++) {
        const int64_t place = a->knot[q] * width, site = a->far_sites[q] * width;
        const vec *far = (const vec *)(a->far + site);
        const vec *low = (const vec *)(a->table + place), *high = (const vec *)(a->table + place + width);
        vec *d_far = (vec *)(a->d_far + site);
        vec *d_low = (vec *)(d_table + place), *d_high = (vec *)(d_table + place + width);
        const float fraction = a->fraction[q], weight = a->weights[q];
        for (int64_t k = 0; k < n; k++) {
            const vec x = linear(near, far, low, high, fraction, k), y = linear(near, far, low, high, fraction, n + k);
            vec gate, value, slope;
            gated(x, y, soft, &gate, &value, &slope);
            const vec d_gated = weight * d_sums[k] * gate;
            const vec d_gate = d_gated * (1.0f - gate) * value, d_message = d_gated * slope;
            d_near[k] += d_gate, d_near[n + k] += d_message;
            d_far[k] += d_gate, d_far[n + k] += d_message;
            d_high[k] += fraction * d_gate, d_high[n + k] += fraction * d_message;
            d_low[k] += d_gate - fraction * d_gate, d_low[n + k] += d_message - fraction * d_message;
        }
    }
    for (int64_t k = 0; k < 2 * n; k++) ((vec *)(a->d_near + row * width))[k] = d_near[k];
}

/* The usual sizes get loops of constant length. */
void gate_forward(const KernelArguments *a) {
    const int64_t n = a->channels / LANES;
#pragma omp parallel for schedule(dynamic, 1) num_threads(a->threads)
    for (int64_t chunk = 0; chunk < a->chunks; chunk++)
        for (int64_t row = a->chunk_rows[chunk]; row < a->chunk_rows[chunk + 1]; row++)
            if (a->soft && n == 64 / LANES) forward_row(a, row, 64 / LANES, 1);
            else if (a->soft) forward_row(a, row, n, 1);
            else if (n == 128 / LANES) forward_row(a, row, 128 / LANES, 0);
            else forward_row(a, row, n, 0);
}

void gate_backward(const KernelArguments *a) {
    const int64_t n = a->channels / LANES, size = a->knots * 2 * a->channels;
#pragma omp parallel num_threads(a->threads)
    {
        float *own = a->scratch + omp_get_thread_num() * size;
#pragma omp for schedule(dynamic, 1) ordered
        for (int64_t chunk = 0; chunk < a->chunks; chunk++) {
            memset(own, 0, size * sizeof(float));
            for (int64_t row = a->chunk_rows[chunk]; row < a->chunk_rows[chunk + 1]; row++)
                if (a->soft && n == 64 / LANES) backward_row(a, own, row, 64 / LANES, 1);
                else if (a->soft) backward_row(a, own, row, n, 1);
                else if (n == 128 / LANES) backward_row(a, own, row, 128 / LANES, 0);
                else backward_row(a, own, row, n, 0);
#pragma omp ordered
            for (int64_t i = 0; i < size; i++) a->d_table[i] += own[i];
        }
    }
}
