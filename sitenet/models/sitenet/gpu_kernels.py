"""The work on pairs as Triton kernels, forward and backward, for float32 on GPUs; `gpu` calls them.

Each program computes a row: a site class with its pairs, a few at a time. What goes to a row or a pair is stored once;
what goes to far sites or to weights, which many rows share, is added atomically.

Shape suffixes, one letter per axis, F, H and V padded to powers of two:
    P pairs at a time       H attention heads
    F width of a layer      V width of a value
"""

import triton
import triton.language as tl

FLAT = tl.constexpr(20.0)  # from here on, mish is the identity in float32


@triton.jit
def _mish(x):
    """x tanh(softplus(x)), and its derivative."""
    e = tl.exp(tl.minimum(x, FLAT))
    n = e * (e + 2)
    t, slope = n / (n + 2), 4 * e * (e + 1) / ((n + 2) * (n + 2))
    return tl.where(x > FLAT, x, x * t), tl.where(x > FLAT, 1.0, t + x * slope)


@triton.jit
def _normalised(a_PF, in_F, n, epsilon):
    """(P, F) rows with mean 0 and variance 1 over the n real columns, and the (P,) factors."""
    centred_PF = tl.where(in_F[None, :], a_PF - (tl.sum(a_PF, axis=1) / n)[:, None], 0.0)
    factor_P = tl.rsqrt(tl.sum(centred_PF * centred_PF, axis=1) / n + epsilon)
    return centred_PF * factor_P[:, None], factor_P


@triton.jit
def dense(
    near,
    far,
    pairs,
    gain,
    shift,
    row_starts,
    far_sites,
    before,
    result,
    epsilon,
    N_F: tl.constexpr,
    F: tl.constexpr,
    P: tl.constexpr,
):
    """Of a row, `before` (E, N_F), the sum of its near end, far ends and pairs, and `result`, its mish, normalised."""
    i = tl.program_id(0)
    first, last = tl.load(row_starts + i), tl.load(row_starts + i + 1)
    f_F = tl.arange(0, F)
    in_F = f_F < N_F
    near_F, gain_F = tl.load(near + i * N_F + f_F, in_F, 0.0), tl.load(gain + f_F, in_F, 0.0)
    shift_F = tl.load(shift + f_F, in_F, 0.0)
    for start in range(first, last, P):
        e_P = start + tl.arange(0, P)
        at_PF, in_PF = e_P[:, None] * N_F + f_F[None, :], (e_P < last)[:, None] & in_F[None, :]
        far_PF = tl.load(far_sites + e_P, e_P < last, 0)[:, None] * N_F + f_F[None, :]
        sum_PF = tl.load(pairs + at_PF, in_PF, 0.0) + tl.load(far + far_PF, in_PF, 0.0) + near_F[None, :]
        tl.store(before + at_PF, sum_PF, in_PF)
        active_PF, _ = _mish(sum_PF)
        normal_PF, _ = _normalised(tl.where(in_F[None, :], active_PF, 0.0), in_F, N_F, epsilon)
        tl.store(result + at_PF, normal_PF * gain_F[None, :] + shift_F[None, :], in_PF)


@triton.jit
def dense_backward(
    before,
    gain,
    row_starts,
    far_sites,
    d_result,
    d_near,
    d_far,
    d_pairs,
    d_gain,
    d_shift,
    epsilon,
    N_F: tl.constexpr,
    F: tl.constexpr,
    P: tl.constexpr,
):
    """Gradients of `dense`: of its row's near end and pairs, and parts of the far ends', the gain's and the shift's."""
    i = tl.program_id(0)
    first, last = tl.load(row_starts + i), tl.load(row_starts + i + 1)
    f_F = tl.arange(0, F)
    in_F = f_F < N_F
    gain_F = tl.load(gain + f_F, in_F, 0.0)
    d_near_F, d_gain_F, d_shift_F = tl.zeros((F,), tl.float32), tl.zeros((F,), tl.float32), tl.zeros((F,), tl.float32)
    for start in range(first, last, P):
        e_P = start + tl.arange(0, P)
        at_PF, in_PF = e_P[:, None] * N_F + f_F[None, :], (e_P < last)[:, None] & in_F[None, :]
        active_PF, slope_PF = _mish(tl.load(before + at_PF, in_PF, 0.0))
        normal_PF, factor_P = _normalised(tl.where(in_F[None, :], active_PF, 0.0), in_F, N_F, epsilon)
        d_result_PF = tl.load(d_result + at_PF, in_PF, 0.0)
        d_gain_F += tl.sum(d_result_PF * normal_PF, axis=0)
        d_shift_F += tl.sum(d_result_PF, axis=0)
        d_PF = d_result_PF * gain_F[None, :]
        along_PF = normal_PF * (tl.sum(d_PF * normal_PF, axis=1) / N_F)[:, None]
        d_PF = (d_PF - (tl.sum(d_PF, axis=1) / N_F)[:, None] - along_PF) * factor_P[:, None] * slope_PF
        d_PF = tl.where(in_PF, d_PF, 0.0)
        tl.store(d_pairs + at_PF, d_PF, in_PF)
        far_PF = tl.load(far_sites + e_P, e_P < last, 0)[:, None] * N_F + f_F[None, :]
        tl.atomic_add(d_far + far_PF, d_PF, in_PF, sem="relaxed")
        d_near_F += tl.sum(d_PF, axis=0)
    tl.store(d_near + i * N_F + f_F, d_near_F, in_F)
    tl.atomic_add(d_gain + f_F, d_gain_F, in_F, sem="relaxed")
    tl.atomic_add(d_shift + f_F, d_shift_F, in_F, sem="relaxed")


@triton.jit
def mix(
    logits,
    values,
    counts,
    row_starts,
    mixed,
    alpha,
    N_H: tl.constexpr,
    H: tl.constexpr,
    N_V: tl.constexpr,
    V: tl.constexpr,
    P: tl.constexpr,
):
    """Softmax of a row's logits and the sums of its values: `alpha` (E, N_H) and `mixed` (N, N_V, N_H)."""
    i = tl.program_id(0)
    first, last = tl.load(row_starts + i), tl.load(row_starts + i + 1)
    h_H, v_V = tl.arange(0, H), tl.arange(0, V)
    in_H, in_V = h_H < N_H, v_V < N_V
    highest_H, total_H = tl.full((H,), float("-inf"), tl.float32), tl.zeros((H,), tl.float32)
    for start in range(first, last, P):
        e_P = start + tl.arange(0, P)
        in_PH, count_P = (e_P < last)[:, None] & in_H[None, :], tl.load(counts + e_P, e_P < last, 0.0)
        logit_PH = tl.load(logits + e_P[:, None] * N_H + h_H[None, :], in_PH, 0.0)
        logit_PH = tl.where(count_P[:, None] > 0, logit_PH, float("-inf"))
        now_H = tl.maximum(highest_H, tl.max(logit_PH, axis=0))
        base_H = tl.where(now_H > float("-inf"), now_H, 0.0)
        added_H = tl.sum(count_P[:, None] * tl.exp(logit_PH - base_H[None, :]), axis=0)
        total_H = total_H * tl.exp(highest_H - base_H) + added_H
        highest_H = now_H
    base_H, total_H = tl.where(highest_H > float("-inf"), highest_H, 0.0), tl.where(total_H > 0, total_H, 1.0)
    mixed_VH = tl.zeros((V, H), tl.float32)
    for start in range(first, last, P):
        e_P = start + tl.arange(0, P)
        at_PH, in_PH = e_P[:, None] * N_H + h_H[None, :], (e_P < last)[:, None] & in_H[None, :]
        count_P = tl.load(counts + e_P, e_P < last, 0.0)
        logit_PH = tl.where(count_P[:, None] > 0, tl.load(logits + at_PH, in_PH, 0.0), float("-inf"))
        alpha_PH = count_P[:, None] * tl.exp(logit_PH - base_H[None, :]) / total_H[None, :]
        tl.store(alpha + at_PH, alpha_PH, in_PH)
        value_PV = tl.load(values + e_P[:, None] * N_V + v_V[None, :], (e_P < last)[:, None] & in_V[None, :], 0.0)
        mixed_VH += tl.sum(value_PV[:, :, None] * alpha_PH[:, None, :], axis=0)
    tl.store(mixed + (i * N_V + v_V[:, None]) * N_H + h_H[None, :], mixed_VH, in_V[:, None] & in_H[None, :])


@triton.jit
def mix_backward(
    values,
    row_starts,
    mixed,
    alpha,
    d_mixed,
    d_logits,
    d_values,
    N_H: tl.constexpr,
    H: tl.constexpr,
    N_V: tl.constexpr,
    V: tl.constexpr,
    P: tl.constexpr,
):
    """Gradients of `mix`: of its row's logits and values."""
    i = tl.program_id(0)
    first, last = tl.load(row_starts + i), tl.load(row_starts + i + 1)
    h_H, v_V = tl.arange(0, H), tl.arange(0, V)
    in_H, in_V = h_H < N_H, v_V < N_V
    at_VH, in_VH = (i * N_V + v_V[:, None]) * N_H + h_H[None, :], in_V[:, None] & in_H[None, :]
    d_mixed_VH = tl.load(d_mixed + at_VH, in_VH, 0.0)
    # Sum over the row of alpha times its gradient.
    common_H = tl.sum(d_mixed_VH * tl.load(mixed + at_VH, in_VH, 0.0), axis=0)
    for start in range(first, last, P):
        e_P = start + tl.arange(0, P)
        at_PH, in_PH = e_P[:, None] * N_H + h_H[None, :], (e_P < last)[:, None] & in_H[None, :]
        at_PV, in_PV = e_P[:, None] * N_V + v_V[None, :], (e_P < last)[:, None] & in_V[None, :]
        alpha_PH, value_PV = tl.load(alpha + at_PH, in_PH, 0.0), tl.load(values + at_PV, in_PV, 0.0)
        tl.store(d_values + at_PV, tl.sum(d_mixed_VH[None, :, :] * alpha_PH[:, None, :], axis=2), in_PV)
        d_alpha_PH = tl.sum(d_mixed_VH[None, :, :] * value_PV[:, :, None], axis=1)
        tl.store(d_logits + at_PH, alpha_PH * (d_alpha_PH - common_H[None, :]), in_PH)
