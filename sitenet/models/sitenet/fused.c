/* The layers on pairs of one attention block of Site-Net, forward and backward, for float32 on CPUs.

   A tile of 32 pairs goes through all steps while it lies in the inner caches, so no [pairs x width] array of
   hidden features is ever written; the backward pass computes them again. Widths of the three layers (logit
   hidden, value, new pair) are padded to multiples of 16 with zero weights and stand side by side in a row
   of `hidden | value | pair`; with the pair layer alone, the same kernels embed the pairs. Chunks are runs of
   whole crystals: nothing that one writes is shared with another, and weight gradients are kept per chunk,
   so results do not depend on the number of threads. */

#include "../base/vectors.h"

enum { ROWS = LANES, TILE = 32 };

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
} Block;

/* mish(x) = x tanh(log(1 + e^x)) = x n / (n + 2) with n = e^x (e^x + 2), and its derivative. */
static inline vec mish(vec x, vec *slope) {
    vec e = exponential(x), n = e * (e + 2.0f), r = 1.0f / (n + 2.0f), t = n * r;
    *slope = t + 4.0f * x * (e * r) * ((e + 1.0f) * r);
    return x * t;
}

/* c (m x n vecs) = or += a (m x k) b (k x n vecs), m a multiple of ROWS; a(i, p) lies at i * ai + p * ap. */
static inline void multiply(const float *a, int64_t ai, int64_t ap, const vec *b, vec *c, int64_t m,
                            int64_t k, int64_t n, int add) {
    for (int64_t i = 0; i < m; i += ROWS)
        for (int64_t j = 0; j < n; j++) {
            vec acc[ROWS];
#pragma GCC unroll 16
            for (int row = 0; row < ROWS; row++) acc[row] = add ? c[(i + row) * n + j] : splat(0);
            for (int64_t p = 0; p < k; p++) {
                vec bp = b[p * n + j];
#pragma GCC unroll 16
                for (int row = 0; row < ROWS; row++) acc[row] += a[(i + row) * ai + p * ap] * bp;
            }
#pragma GCC unroll 16
            for (int row = 0; row < ROWS; row++) c[(i + row) * n + j] = acc[row];
        }
}

/* Rows of pairs [first, first + n) for the tile: h = W b_ij, zero rows beyond the n-th. */
static inline void linear_maps(const Block *b, int64_t first, int64_t n, const int64_t *near_sites,
                               float *old, vec *h, int64_t k) {
    memset(old, 0, TILE * b->in * sizeof(float));
    memcpy(old, b->pairs + first * b->in, n * b->in * sizeof(float));
    multiply(old, b->in, 1, (const vec *)b->weight, h, TILE, b->in, k, 0);
    for (int64_t t = 0; t < n; t++) {
        const vec *near = (const vec *)b->near + near_sites[t] * k;
        const vec *far = (const vec *)b->far + b->far_sites[first + t] * k;
        for (int64_t j = 0; j < k; j++) h[t * k + j] += near[j] + far[j];
    }
}

/* Replaces n vecs by their normalised mish; the last `padding` lanes are 0. statistics: mean, 1/deviation. */
static inline void mish_norm(vec *h, int64_t n, int64_t padding, float *statistics) {
    float width = n * LANES - padding;
    vec total = {}, squares = {}, slope;
    for (int64_t j = 0; j < n; j++) total += h[j] = mish(h[j], &slope);
    float mean = sum(total) / width;
    for (int64_t j = 0; j < n; j++) h[j] -= mean;
    for (int64_t j = n * LANES - padding; j < n * LANES; j++) ((float *)h)[j] = 0;
    for (int64_t j = 0; j < n; j++) squares += h[j] * h[j];
    float scale = 1 / sqrtf(sum(squares) / width + 1e-5f);
    for (int64_t j = 0; j < n; j++) h[j] *= scale;
    statistics[0] = mean;
    statistics[1] = scale;
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
static void softmax_and_mix(const Block *b, int64_t row) {
    int64_t start = b->row_starts[row], stop = b->row_starts[row + 1], n = b->value / LANES, H = b->heads;
    for (int64_t head = 0; head < H; head++) {
        const float *logits = b->logits + head;
        float *alpha = b->alpha + head, highest = -INFINITY, total = 0;
        vec *mixed = (vec *)b->mixed + (row * H + head) * n;
        for (int64_t q = start; q < stop; q++) highest = fmaxf(highest, logits[q * H]);
        for (int64_t q = start; q < stop; q++)
            total += alpha[q * H] = b->counts[q] * expf(logits[q * H] - highest);
        for (int64_t j = 0; j < n; j++) mixed[j] = splat(0);
        for (int64_t q = start; q < stop; q++) {
            alpha[q * H] /= total;
            for (int64_t j = 0; j < n; j++) mixed[j] += alpha[q * H] * ((const vec *)b->values)[q * n + j];
        }
    }
}

static void forward_tile(const Block *b, int64_t first, int64_t n, const int64_t *near_sites) {
    int64_t nh = b->hidden / LANES, nv = b->value / LANES, np = b->pair / LANES, k = nh + nv + np;
    const vec *logit_weight = (vec *)b->logit_weight, *gain = (vec *)b->gain, *shift = (vec *)b->shift;
    float old[TILE * b->in];
    vec h[TILE * k];
    linear_maps(b, first, n, near_sites, old, h, k);
    for (int64_t t = 0; t < n; t++) {
        int64_t q = first + t;
        vec *hidden = h + t * k, *value = hidden + nh, *pair = value + nv;
        float *statistics = b->statistics + 6 * q;
        mish_norm(hidden, nh, b->padding[0], statistics);
        for (int64_t head = 0; head < b->heads; head++) {
            vec logit = {};
            for (int64_t j = 0; j < nh; j++) logit += hidden[j] * logit_weight[head * nh + j];
            b->logits[q * b->heads + head] = sum(logit);
        }
        mish_norm(value, nv, b->padding[1], statistics + 2);
        memcpy(b->values + q * b->value, value, nv * sizeof(vec));
        if (np) mish_norm(pair, np, b->padding[2], statistics + 4);
        for (int64_t j = 0; j < np; j++) ((vec *)b->new_pairs)[q * np + j] = pair[j] * gain[j] + shift[j];
    }
}

/* value, its layer's input of pair q, becomes the gradient; also gives the gradients of the logits. With
   d_alpha = d_mixed . y, softmax has d_logit = alpha (d_alpha - sum over the row of alpha d_alpha), and that
   sum is d_mixed . mixed. */
static inline void backward_value(const Block *b, int64_t q, int64_t row, vec *value, float *d_logit) {
    int64_t n = b->value / LANES;
    const vec *mixed = (const vec *)b->mixed + row * b->heads * n;
    const vec *d_mixed = (const vec *)b->d_mixed + row * b->heads * n;
    const float *statistics = b->statistics + 6 * q + 2;
    vec y[n], slope[n], d[n];
    for (int64_t j = 0; j < n; j++) {
        y[j] = normalised(value[j], statistics, &slope[j]);
        d[j] = splat(0);
    }
    for (int64_t head = 0; head < b->heads; head++) {
        float alpha = b->alpha[q * b->heads + head];
        vec difference = {};
        for (int64_t j = 0; j < n; j++) {
            difference += d_mixed[head * n + j] * (y[j] - mixed[head * n + j]);
            d[j] += alpha * d_mixed[head * n + j];
        }
        d_logit[head] = alpha * sum(difference);
    }
    mish_norm_backward(value, n, b->padding[1], statistics[1], y, slope, d);
}

/* The same for the hidden layer of the logits. The two means over features that the backward pass of LN
   needs follow from the mean of each head's weights and from the logits, so one pass is enough. */
static inline void backward_hidden(const Block *b, int64_t q, const float *d_logit, vec *hidden,
                                   vec *d_logit_weight) {
    int64_t n = b->hidden / LANES;
    const vec *logit_weight = (const vec *)b->logit_weight;
    const float *statistics = b->statistics + 6 * q;
    float d_mean = 0, dy_mean = 0;
    for (int64_t head = 0; head < b->heads; head++) {
        d_mean += d_logit[head] * b->mean_weight[head];
        dy_mean += d_logit[head] * b->logits[q * b->heads + head] / (b->hidden - b->padding[0]);
    }
    for (int64_t j = 0; j < n; j++) {
        vec slope, y = normalised(hidden[j], statistics, &slope), d = {};
        for (int64_t head = 0; head < b->heads; head++) {
            d += d_logit[head] * logit_weight[head * n + j];
            d_logit_weight[head * n + j] += d_logit[head] * y;
        }
        hidden[j] = statistics[1] * (d - d_mean - y * dy_mean) * slope;
    }
}

/* The same for the new pair. */
static inline void backward_pair(const Block *b, int64_t q, vec *pair, vec *d_gain, vec *d_shift) {
    int64_t n = b->pair / LANES;
    const vec *d_new = (const vec *)b->d_new_pairs + q * n;
    const float *statistics = b->statistics + 6 * q + 4;
    vec y[n], slope[n], d[n];
    for (int64_t j = 0; j < n; j++) {
        y[j] = normalised(pair[j], statistics, &slope[j]);
        d[j] = d_new[j] * ((const vec *)b->gain)[j];
        d_gain[j] += d_new[j] * y[j];
        d_shift[j] += d_new[j];
    }
    mish_norm_backward(pair, n, b->padding[2], statistics[1], y, slope, d);
}

static void backward_tile(const Block *b, int64_t chunk, int64_t first, int64_t n,
                          const int64_t *near_sites) {
    int64_t nh = b->hidden / LANES, nv = b->value / LANES, np = b->pair / LANES, k = nh + nv + np;
    float old[TILE * b->in], d_logit[b->heads];
    vec h[TILE * k], d_old[TILE * b->in / LANES];
    linear_maps(b, first, n, near_sites, old, h, k);
    for (int64_t t = 0; t < n; t++) {
        int64_t q = first + t, row = near_sites[t];
        vec *hidden = h + t * k, *value = hidden + nh, *pair = value + nv;
        backward_value(b, q, row, value, d_logit);
        backward_hidden(b, q, d_logit, hidden, (vec *)b->d_logit_weight + chunk * b->heads * nh);
        if (np) backward_pair(b, q, pair, (vec *)b->d_gain + chunk * np, (vec *)b->d_shift + chunk * np);
        vec *d_near = (vec *)b->d_near + row * k, *d_far = (vec *)b->d_far + b->far_sites[q] * k;
        for (int64_t j = 0; j < k; j++) d_near[j] += hidden[j];
        for (int64_t j = 0; j < k; j++) d_far[j] += hidden[j];
    }
    memset(h + n * k, 0, (TILE - n) * k * sizeof(vec));
    multiply(old, 1, b->in, h, (vec *)b->d_weight + chunk * b->in * k, b->in, TILE, k, 1);
    multiply((float *)h, k * LANES, 1, (const vec *)b->weight_t, d_old, TILE, k * LANES, b->in / LANES, 0);
    memcpy(b->d_pairs + first * b->in, d_old, n * b->in * sizeof(float));
}

/* near_sites[t] = site class whose row holds pair first + t; the search starts at `row`. Returns the last. */
static inline int64_t find_rows(const Block *b, int64_t row, int64_t first, int64_t n, int64_t *near_sites) {
    for (int64_t t = 0; t < n; t++) {
        while (b->row_starts[row + 1] <= first + t) row++;
        near_sites[t] = row;
    }
    return row;
}

void fused_forward(const Block *b) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(b->threads)
    for (int64_t chunk = 0; chunk < b->chunks; chunk++) {
        int64_t row = b->chunk_rows[chunk], last = b->chunk_rows[chunk + 1];
        int64_t stop = b->row_starts[last], near_sites[TILE];
        for (int64_t q = b->row_starts[row]; q < stop; q += TILE) {
            int64_t n = stop - q < TILE ? stop - q : TILE;
            row = find_rows(b, row, q, n, near_sites);
            forward_tile(b, q, n, near_sites);
        }
        for (row = b->chunk_rows[chunk]; row < last; row++) softmax_and_mix(b, row);
    }
}

void fused_backward(const Block *b) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(b->threads)
    for (int64_t chunk = 0; chunk < b->chunks; chunk++) {
        int64_t row = b->chunk_rows[chunk], stop = b->row_starts[b->chunk_rows[chunk + 1]], near_sites[TILE];
        for (int64_t q = b->row_starts[row]; q < stop; q += TILE) {
            int64_t n = stop - q < TILE ? stop - q : TILE;
            row = find_rows(b, row, q, n, near_sites);
            backward_tile(b, chunk, q, n, near_sites);
        }
    }
}
