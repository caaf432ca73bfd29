/* The layers on pairs of one attention block of Site-Net, forward and backward, for float32 on CPUs.

   A tile of 32 pairs goes through all steps while it lies in the inner caches, so no [pairs x width] array of
   hidden features is ever written; the backward pass computes them again. Widths of the three layers (logit
   hidden, value, new pair) are padded to multiples of 16 with zero weights and stand side by side in a row
   of `hidden | value | pair`; with the pair layer alone, the same kernels embed the pairs. Chunks are runs of
   whole crystals: nothing that one writes is shared with another, and weight gradients are kept per chunk,
   so results do not depend on the number of threads. */

#include "../base/vectors.h"

enum { ROWS = LANES / 2, COLUMNS = 3, DEPTH = 64, TILE = 32 };

typedef struct {
    int64_t threads, chunks, heads;
    int64_t hidden, value, pair;    /* widths of the layers' rows; pair is 0 where pairs are not updated */
    int64_t in;                     /* width of an old pair */
    const int64_t *chunk_rows;      /* (chunks + 1) first site class of each chunk */
    const int64_t *row_starts;      /* (N + 1) first pair of each site class */
    const int64_t *far_sites;       /* (E) */
    const float *counts;            /* (E) copies of each pair */
    const float *near, *far;        /* (N, K) site parts of the linear maps, bias in near */
    const float *pairs;             /* (E, in) */
    const float *weight, *weight_t; /* (in, K) pair part of the linear maps, and its transpose */
    const float *logit_weight;      /* (heads, hidden) output map with the gain of the hidden LN */
    const float *mean_weight;       /* (heads) its mean over the hidden features */
    const float *gain, *shift;      /* (pair) affine part of the new pairs' LN */
    float *statistics;              /* (E, 6) mean and 1/deviation of each layer's LN */
    float *values;                  /* (E, value) scratch of the forward pass */
    float *logits, *alpha;          /* (E, heads) */
    float *mixed;                   /* (N, heads, value) sums of normalised values, weighted by alpha */
    float *new_pairs;               /* (E, pair) */
    const float *d_mixed, *d_new_pairs;
    float *d_near, *d_far;          /* (N, K), zero at the start */
    float *d_pairs;                 /* (E, in) */
    float *d_weight;                /* (chunks, in, K), zero at the start */
    float *d_logit_weight;          /* (chunks, heads, hidden), zero at the start */
    float *d_gain, *d_shift;        /* (chunks, pair), zero at the start */
    int64_t padding[3];             /* zero lanes at the end of each layer */
} KernelArguments;

const int64_t arguments_size = sizeof(KernelArguments);

/* mish(x) = x tanh(log(1 + e^x)) = x n / (n + 2) with n = e^x (e^x + 2), and its derivative. */
static inline vec mish(vec x, vec *slope) {
    vec e = exponential(x), n = e * (e + 2.0f), r = reciprocal(n + 2.0f), t = n * r;
    *slope = t + 4.0f * x * (e * r) * ((e + 1.0f) * r);
    return x * t;
}

/* A tile of `columns` vecs of c, ROWS high, = or += a b: what stays in the registers. */
INLINE void multiply_tile(const float *a, int64_t ai, int64_t ap, const vec *b, vec *c, int64_t k, int64_t n, int add,
                          const int columns) {
    vec acc[ROWS][COLUMNS], bp[COLUMNS];
#pragma GCC unroll 16
    for (int row = 0; row < ROWS; row++)
#pragma GCC unroll 4
        for (int j = 0; j < columns; j++) acc[row][j] = add ? c[row * n + j] : splat(0);
    for (int64_t p = 0; p < k; p++) {
#pragma GCC unroll 4
        for (int j = 0; j < columns; j++) bp[j] = b[p * n + j];
#pragma GCC unroll 16
        for (int row = 0; row < ROWS; row++)
#pragma GCC unroll 4
            for (int j = 0; j < columns; j++) acc[row][j] += a[row * ai + p * ap] * bp[j];
    }
#pragma GCC unroll 16
    for (int row = 0; row < ROWS; row++)
#pragma GCC unroll 4
        for (int j = 0; j < columns; j++) c[row * n + j] = acc[row][j];
}

/* c (m x n vecs) = or += a (m x k) b (k x n vecs), m a multiple of ROWS; a(i, p) lies at i * ai + p * ap. A block of b,
   DEPTH rows of COLUMNS vecs, serves all rows of a while it lies in the innermost cache. */
static void multiply(const float *a, int64_t ai, int64_t ap, const vec *b, vec *c, int64_t m, int64_t k, int64_t n,
                     int add) {
    for (int64_t p = 0; p < k; p += DEPTH) {
        const int64_t depth = k - p < DEPTH ? k - p : DEPTH;
        const int more = add || p > 0;
        int64_t j = 0;
        for (; j + COLUMNS <= n; j += COLUMNS)
            for (int64_t i = 0; i < m; i += ROWS)
                multiply_tile(a + i * ai + p * ap, ai, ap, b + p * n + j, c + i * n + j, depth, n, more, COLUMNS);
        for (; j < n; j++)
            for (int64_t i = 0; i < m; i += ROWS)
                multiply_tile(a + i * ai + p * ap, ai, ap, b + p * n + j, c + i * n + j, depth, n, more, 1);
    }
}

/* Rows of pairs [first, first + n) for the tile: h = W b_ij, zero rows beyond the n-th. */
static inline void linear_maps(const KernelArguments *a, int64_t first, int64_t n, const int64_t *near_sites,
                               float *old, vec *h, int64_t k) {
    memset(old + n * a->in, 0, (TILE - n) * a->in * sizeof(float));
    memcpy(old, a->pairs + first * a->in, n * a->in * sizeof(float));
    for (int64_t t = 0; t < n; t++) {
        const vec *near = (const vec *)a->near + near_sites[t] * k;
        const vec *far = (const vec *)a->far + a->far_sites[first + t] * k;
        for (int64_t j = 0; j < k; j++) h[t * k + j] = near[j] + far[j];
    }
    memset(h + n * k, 0, (TILE - n) * k * sizeof(vec));
    multiply(old, a->in, 1, (const vec *)a->weight, h, TILE, a->in, k, 1);
}

/* h becomes mish(h) - mean, where the last `padding` lanes are 0. statistics: mean, 1/deviation, which is returned. */
static inline float mish_norm(vec *h, int64_t n, int64_t padding, float *statistics) {
    float width = n * LANES - padding;
    vec total = {}, squares = {}, slope;
    for (int64_t j = 0; j < n; j++) total += h[j] = mish(h[j], &slope);
    float mean = sum(total) / width;
    for (int64_t j = 0; j < n; j++) h[j] -= mean;
    for (int64_t j = n * LANES - padding; j < n * LANES; j++) ((float *)h)[j] = 0;
    for (int64_t j = 0; j < n; j++) squares += h[j] * h[j];
    statistics[0] = mean;
    return statistics[1] = 1 / sqrtf(sum(squares) / width + 1e-5f);
}

/* y = (mish(h) - mean) / deviation, as mish_norm gave, and the slope of mish. */
static inline vec normalised(vec h, const float *statistics, vec *slope) {
    return (mish(h, slope) - statistics[0]) * statistics[1];
}

/* Backward of mish_norm: h, its input, becomes the gradient of the input; d is the gradient of y. */
static inline void mish_norm_backward(vec *h, int64_t n, int64_t padding, float scale, const vec *y,
                                      const vec *slope, const vec *d) {
    float width = n * LANES - padding;
    vec total = {}, dot = {};
    for (int64_t j = 0; j < n; j++) total += d[j], dot += d[j] * y[j];
    float d_mean = sum(total) / width, dy_mean = sum(dot) / width;
    for (int64_t j = 0; j < n; j++) h[j] = scale * (d[j] - d_mean - y[j] * dy_mean) * slope[j];
}

/* alpha = counts e^logit / sum of the same, and the sums of values that alpha weights, for one site class. */
static void softmax_and_mix(const KernelArguments *a, int64_t row) {
    int64_t start = a->row_starts[row], stop = a->row_starts[row + 1], n = a->value / LANES, H = a->heads;
    for (int64_t head = 0; head < H; head++) {
        const float *logits = a->logits + head;
        float *alpha = a->alpha + head, highest = -INFINITY;
        vec total = {};
        for (int64_t q = start; q < stop; q++) highest = fmaxf(highest, logits[q * H]);
        for (int64_t q = start; q < stop; q += LANES) {
            int64_t left = stop - q < LANES ? stop - q : LANES;
            vec x = {}, counts = {};
            for (int64_t lane = 0; lane < left; lane++) {
                x[lane] = logits[(q + lane) * H] - highest;
                counts[lane] = a->counts[q + lane];
            }
            x = counts * exponential(x);
            total += x;
            for (int64_t lane = 0; lane < left; lane++) alpha[(q + lane) * H] = x[lane];
        }
        float scale = 1 / sum(total);
        for (int64_t q = start; q < stop; q++) alpha[q * H] *= scale;
        for (int64_t j = 0; j < n; j++) {
            vec mixed = {};
            for (int64_t q = start; q < stop; q++) mixed += alpha[q * H] * ((const vec *)a->values)[q * n + j];
            ((vec *)a->mixed)[(row * H + head) * n + j] = mixed;
        }
    }
}

static void forward_tile(const KernelArguments *a, int64_t first, int64_t n, const int64_t *near_sites) {
    int64_t nh = a->hidden / LANES, nv = a->value / LANES, np = a->pair / LANES, k = nh + nv + np;
    const vec *logit_weight = (vec *)a->logit_weight, *gain = (vec *)a->gain, *shift = (vec *)a->shift;
    float old[TILE * a->in];
    vec h[TILE * k];
    linear_maps(a, first, n, near_sites, old, h, k);
    for (int64_t t = 0; t < n; t++) {
        int64_t q = first + t;
        vec *hidden = h + t * k, *value = hidden + nh, *pair = value + nv;
        vec *values = (vec *)a->values + q * nv, *new_pair = (vec *)a->new_pairs + q * np;
        float *statistics = a->statistics + 6 * q, scale;
        if (nh) {
            scale = mish_norm(hidden, nh, a->padding[0], statistics);
            for (int64_t head = 0; head < a->heads; head++) {
                vec logit = {};
                for (int64_t j = 0; j < nh; j++) logit += hidden[j] * logit_weight[head * nh + j];
                a->logits[q * a->heads + head] = scale * sum(logit);
            }
        }
        if (nv) {
            scale = mish_norm(value, nv, a->padding[1], statistics + 2);
            for (int64_t j = 0; j < nv; j++) values[j] = scale * value[j];
        }
        if (np) {
            scale = mish_norm(pair, np, a->padding[2], statistics + 4);
            for (int64_t j = 0; j < np; j++) new_pair[j] = scale * pair[j] * gain[j] + shift[j];
        }
    }
}

/* value, its layer's input of pair q, becomes the gradient; also gives the gradients of the logits. With
   d_alpha = d_mixed . y, softmax has d_logit = alpha (d_alpha - sum over the row of alpha d_alpha), and that
   sum is d_mixed . mixed. */
static inline void backward_value(const KernelArguments *a, int64_t q, int64_t row, vec *value, float *d_logit) {
    int64_t n = a->value / LANES;
    const vec *mixed = (const vec *)a->mixed + row * a->heads * n;
    const vec *d_mixed = (const vec *)a->d_mixed + row * a->heads * n;
    const float *statistics = a->statistics + 6 * q + 2;
    vec y[n], slope[n], d[n];
    for (int64_t j = 0; j < n; j++) {
        y[j] = normalised(value[j], statistics, &slope[j]);
        d[j] = splat(0);
    }
    for (int64_t head = 0; head < a->heads; head++) {
        float alpha = a->alpha[q * a->heads + head];
        vec difference = {};
        for (int64_t j = 0; j < n; j++) {
            difference += d_mixed[head * n + j] * (y[j] - mixed[head * n + j]);
            d[j] += alpha * d_mixed[head * n + j];
        }
        d_logit[head] = alpha * sum(difference);
    }
    mish_norm_backward(value, n, a->padding[1], statistics[1], y, slope, d);
}

/* The same for the hidden layer of the logits. The two means over features that the backward pass of LN
   needs follow from the mean of each head's weights and from the logits, so one pass is enough. */
static inline void backward_hidden(const KernelArguments *a, int64_t q, const float *d_logit, vec *hidden,
                                   vec *d_logit_weight) {
    int64_t n = a->hidden / LANES;
    const vec *logit_weight = (const vec *)a->logit_weight;
    const float *statistics = a->statistics + 6 * q;
    float d_mean = 0, dy_mean = 0;
    for (int64_t head = 0; head < a->heads; head++) {
        d_mean += d_logit[head] * a->mean_weight[head];
        dy_mean += d_logit[head] * a->logits[q * a->heads + head] / (a->hidden - a->padding[0]);
    }
    for (int64_t j = 0; j < n; j++) {
        vec slope, y = normalised(hidden[j], statistics, &slope), d = {};
        for (int64_t head = 0; head < a->heads; head++) {
            d += d_logit[head] * logit_weight[head * n + j];
            d_logit_weight[head * n + j] += d_logit[head] * y;
        }
        hidden[j] = statistics[1] * (d - d_mean - y * dy_mean) * slope;
    }
}

/* The same for the new pair. */
static inline void backward_pair(const KernelArguments *a, int64_t q, vec *pair, vec *d_gain, vec *d_shift) {
    int64_t n = a->pair / LANES;
    const vec *d_new = (const vec *)a->d_new_pairs + q * n;
    const float *statistics = a->statistics + 6 * q + 4;
    vec y[n], slope[n], d[n];
    for (int64_t j = 0; j < n; j++) {
        y[j] = normalised(pair[j], statistics, &slope[j]);
        d[j] = d_new[j] * ((const vec *)a->gain)[j];
        d_gain[j] += d_new[j] * y[j];
        d_shift[j] += d_new[j];
    }
    mish_norm_backward(pair, n, a->padding[2], statistics[1], y, slope, d);
}

static void backward_tile(const KernelArguments *a, int64_t chunk, int64_t first, int64_t n,
                          const int64_t *near_sites) {
    int64_t nh = a->hidden / LANES, nv = a->value / LANES, np = a->pair / LANES, k = nh + nv + np;
    float old[TILE * a->in], d_logit[a->heads + 1]; /* with the pair layer alone there are no heads */
    vec h[TILE * k], d_old[TILE * a->in / LANES];
    linear_maps(a, first, n, near_sites, old, h, k);
    for (int64_t t = 0; t < n; t++) {
        int64_t q = first + t, row = near_sites[t];
        vec *hidden = h + t * k, *value = hidden + nh, *pair = value + nv;
        if (nv) backward_value(a, q, row, value, d_logit);
        if (nh) backward_hidden(a, q, d_logit, hidden, (vec *)a->d_logit_weight + chunk * a->heads * nh);
        if (np) backward_pair(a, q, pair, (vec *)a->d_gain + chunk * np, (vec *)a->d_shift + chunk * np);
        vec *d_near = (vec *)a->d_near + row * k, *d_far = (vec *)a->d_far + a->far_sites[q] * k;
        for (int64_t j = 0; j < k; j++) d_near[j] += hidden[j];
        for (int64_t j = 0; j < k; j++) d_far[j] += hidden[j];
    }
    memset(h + n * k, 0, (TILE - n) * k * sizeof(vec));
    multiply(old, 1, a->in, h, (vec *)a->d_weight + chunk * a->in * k, a->in, TILE, k, 1);
    multiply((float *)h, k * LANES, 1, (const vec *)a->weight_t, d_old, TILE, k * LANES, a->in / LANES, 0);
    memcpy(a->d_pairs + first * a->in, d_old, n * a->in * sizeof(float));
}

/* near_sites[t] = site class whose row holds pair first + t; the search starts at `row`. Returns the last. */
static inline int64_t find_rows(const KernelArguments *a, int64_t row, int64_t first, int64_t n, int64_t *near_sites) {
    for (int64_t t = 0; t < n; t++) {
        while (a->row_starts[row + 1] <= first + t) row++;
        near_sites[t] = row;
    }
    return row;
}

void fused_forward(const KernelArguments *a) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(a->threads)
    for (int64_t chunk = 0; chunk < a->chunks; chunk++) {
        int64_t row = a->chunk_rows[chunk], last = a->chunk_rows[chunk + 1];
        int64_t stop = a->row_starts[last], near_sites[TILE];
        for (int64_t q = a->row_starts[row]; q < stop; q += TILE) {
            int64_t n = stop - q < TILE ? stop - q : TILE;
            row = find_rows(a, row, q, n, near_sites);
            forward_tile(a, q, n, near_sites);
        }
        for (row = a->chunk_rows[chunk]; row < last; row++) softmax_and_mix(a, row);
    }
}

void fused_backward(const KernelArguments *a) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(a->threads)
    for (int64_t chunk = 0; chunk < a->chunks; chunk++) {
        int64_t row = a->chunk_rows[chunk], stop = a->row_starts[a->chunk_rows[chunk + 1]], near_sites[TILE];
        for (int64_t q = a->row_starts[row]; q < stop; q += TILE) {
            int64_t n = stop - q < TILE ? stop - q : TILE;
            row = find_rows(a, row, q, n, near_sites);
            backward_tile(a, chunk, q, n, near_sites);
        }
    }
}
