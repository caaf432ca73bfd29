"""The work on pairs as Triton kernels, forward and backward, for float32 on GPUs; `gpu` calls them.

Each program computes a row: a site class with its pairs, a few at a time. What goes to a row or a pair is stored once;
what goes to far sites, which many rows share, is added atomically.

Shape suffixes, one letter per axis:
    P pairs at a time                       K channels of moments
    D width of a site, H attention heads    M harmonics, padded to a power of two
    G channels of gated messages            W = D / H channels per head; heads vary fastest in D
"""

import triton
import triton.language as tl


@triton.jit
def _by_head(x_PD, P: tl.constexpr, D: tl.constexpr, H: tl.constexpr):
    """(P, H) sums over the channels of each head."""
    return tl.sum(tl.reshape(x_PD, (P, D // H, H)), axis=1)


@triton.jit
def _to_channels(x_PH, P: tl.constexpr, D: tl.constexpr, H: tl.constexpr):
    """(P, D) with the head's value in each of its channels."""
    return tl.reshape(tl.broadcast_to(x_PH[:, None, :], (P, D // H, H)), (P, D))


@triton.jit
def attend(
    qkv,
    functions,
    counts,
    row_starts,
    far_sites,
    mixed,
    alpha,
    scale,
    KEYS: tl.constexpr,
    D: tl.constexpr,
    H: tl.constexpr,
    P: tl.constexpr,
):
    """Radial attention of a row: `mixed` (N, D) and `alpha` (E, H).

    A site has q, k and v side by side; a pair has filters of values and, with KEYS, of keys, without the 1, and biases.
    """
    F: tl.constexpr = 2 * D + H if KEYS else D + H
    i = tl.program_id(0)
    first, last = tl.load(row_starts + i), tl.load(row_starts + i + 1)
    c_1D, h_1H = tl.arange(0, D)[None, :], tl.arange(0, H)[None, :]
    q_1D = tl.load(qkv + i * 3 * D + c_1D) * scale
    highest_1H, total_1H = tl.full((1, H), float("-inf"), tl.float32), tl.zeros((1, H), tl.float32)
    mixed_1D = tl.zeros((1, D), tl.float32)
    for start in range(first, last, P):
        e_P = start + tl.arange(0, P)
        in_P1, functions_P1 = (e_P < last)[:, None], functions + (e_P * F)[:, None]
        far_PD = qkv + (tl.load(far_sites + e_P, e_P < last, 0) * 3 * D)[:, None] + c_1D
        count_P1 = tl.load(counts + e_P, e_P < last, 0.0)[:, None]
        products_PD = q_1D * tl.load(far_PD + D, in_P1, 0.0)
        if KEYS:
            products_PD *= 1 + tl.load(functions_P1 + D + c_1D, in_P1, 0.0)
        logit_PH = _by_head(products_PD, P, D, H) + tl.load(functions_P1 + F - H + h_1H, in_P1, 0.0)
        logit_PH = tl.where(count_P1 > 0, logit_PH, float("-inf"))
        tl.store(alpha + (e_P * H)[:, None] + h_1H, logit_PH, in_P1)

        now_1H = tl.maximum(highest_1H, tl.max(logit_PH, axis=0)[None, :])
        base_1H = tl.where(now_1H > float("-inf"), now_1H, 0.0)
        shrink_1H, weight_PH = tl.exp(highest_1H - base_1H), count_P1 * tl.exp(logit_PH - base_1H)
        total_1H = total_1H * shrink_1H + tl.sum(weight_PH, axis=0)[None, :]
        filtered_PD = tl.load(far_PD + 2 * D, in_P1, 0.0) * (1 + tl.load(functions_P1 + c_1D, in_P1, 0.0))
        added_D = tl.sum(filtered_PD * _to_channels(weight_PH, P, D, H), axis=0)
        mixed_1D = mixed_1D * _to_channels(shrink_1H, 1, D, H) + added_D[None, :]
        highest_1H = now_1H
    total_1H = tl.where(total_1H > 0, total_1H, 1.0)
    tl.store(mixed + i * D + c_1D, mixed_1D / _to_channels(total_1H, 1, D, H))
    _normalise(alpha, counts, first, last, highest_1H, total_1H, H, P)


@triton.jit
def _normalise(alpha, counts, first, last, highest_1H, total_1H, H: tl.constexpr, P: tl.constexpr):
    """Makes weights of the logits of a row, in place."""
    tl.debug_barrier()  # other threads may have written what a thread reads here
    h_1H, base_1H = tl.arange(0, H)[None, :], tl.where(highest_1H > float("-inf"), highest_1H, 0.0)
    for start in range(first, last, P):
        e_P = start + tl.arange(0, P)
        alpha_PH, in_P1 = alpha + (e_P * H)[:, None] + h_1H, (e_P < last)[:, None]
        count_P1 = tl.load(counts + e_P, e_P < last, 0.0)[:, None]
        tl.store(alpha_PH, count_P1 * tl.exp(tl.load(alpha_PH, in_P1, 0.0) - base_1H) / total_1H, in_P1)


@triton.jit
def attend_backward(
    qkv,
    functions,
    row_starts,
    far_sites,
    mixed,
    alpha,
    d_mixed,
    d_qkv,
    d_functions,
    scale,
    KEYS: tl.constexpr,
    D: tl.constexpr,
    H: tl.constexpr,
    P: tl.constexpr,
):
    """Gradients of `attend`: of its row's q and its pairs' functions, and parts of far sites' k and v."""
    F: tl.constexpr = 2 * D + H if KEYS else D + H
    i = tl.program_id(0)
    first, last = tl.load(row_starts + i), tl.load(row_starts + i + 1)
    c_1D, h_1H = tl.arange(0, D)[None, :], tl.arange(0, H)[None, :]
    q_1D, d_mixed_1D = tl.load(qkv + i * 3 * D + c_1D) * scale, tl.load(d_mixed + i * D + c_1D)
    # Sum over the row of alpha times its gradient.
    common_1H = _by_head(d_mixed_1D * tl.load(mixed + i * D + c_1D), 1, D, H)
    d_q_D = tl.zeros((D,), tl.float32)
    for start in range(first, last, P):
        e_P = start + tl.arange(0, P)
        in_P1, at_P1 = (e_P < last)[:, None], (e_P * F)[:, None]
        far_PD = (tl.load(far_sites + e_P, e_P < last, 0) * 3 * D)[:, None] + c_1D
        alpha_PH = tl.load(alpha + (e_P * H)[:, None] + h_1H, in_P1, 0.0)

        v_PD = tl.load(qkv + far_PD + 2 * D, in_P1, 0.0)
        f_PD = 1 + tl.load(functions + at_P1 + c_1D, in_P1, 0.0)
        d_filtered_PD = d_mixed_1D * _to_channels(alpha_PH, P, D, H)
        tl.store(d_functions + at_P1 + c_1D, d_filtered_PD * v_PD, in_P1)
        tl.atomic_add(d_qkv + far_PD + 2 * D, d_filtered_PD * f_PD, in_P1, sem="relaxed")

        d_logit_PH = alpha_PH * (_by_head(d_mixed_1D * v_PD * f_PD, P, D, H) - common_1H)
        tl.store(d_functions + at_P1 + F - H + h_1H, d_logit_PH, in_P1)
        d_product_PD = _to_channels(d_logit_PH, P, D, H)
        d_key_PD, d_query_PD = d_product_PD * q_1D, d_product_PD * tl.load(qkv + far_PD + D, in_P1, 0.0)
        if KEYS:
            tl.store(d_functions + at_P1 + D + c_1D, d_query_PD * q_1D, in_P1)
            g_PD = 1 + tl.load(functions + at_P1 + D + c_1D, in_P1, 0.0)
            d_key_PD, d_query_PD = d_key_PD * g_PD, d_query_PD * g_PD
        tl.atomic_add(d_qkv + far_PD + D, d_key_PD, in_P1, sem="relaxed")
        d_q_D += tl.sum(d_query_PD, axis=0)
    tl.store(d_qkv + i * 3 * D + c_1D, scale * d_q_D[None, :])


@triton.jit
def sum_moments(
    v,
    w,
    moments,
    counts,
    row_starts,
    far_sites,
    sums,
    L: tl.constexpr,
    K: tl.constexpr,
    N_MOMENTS: tl.constexpr,
    M: tl.constexpr,
    P: tl.constexpr,
):
    """The `sums` (N, n_moments, K) of a row."""
    i = tl.program_id(0)
    first, last = tl.load(row_starts + i), tl.load(row_starts + i + 1)
    k_K, m_M = tl.arange(0, K), tl.arange(0, M)
    in_M, degree_M = m_M < N_MOMENTS, _degree(m_M)
    sums_MK = tl.zeros((M, K), tl.float32)
    for start in range(first, last, P):
        e_P = start + tl.arange(0, P)
        in_P = e_P < last
        v_PK = tl.load(v + tl.load(far_sites + e_P, in_P, 0)[:, None] * K + k_K[None, :], in_P[:, None], 0.0)
        v_PK *= tl.load(counts + e_P, in_P, 0.0)[:, None]
        in_PM = in_P[:, None] & in_M[None, :]
        y_PM = tl.load(moments + e_P[:, None] * N_MOMENTS + m_M[None, :], in_PM, 0.0)
        at_PMK = e_P[:, None, None] * (L * K) + degree_M[None, :, None] * K + k_K[None, None, :]
        w_PMK = tl.load(w + at_PMK, in_PM[:, :, None], 0.0)
        sums_MK += tl.sum(w_PMK * y_PM[:, :, None] * v_PK[:, None, :], axis=0)
    at_MK = (i * N_MOMENTS + m_M[:, None]) * K + k_K[None, :]
    tl.store(sums + at_MK, sums_MK, in_M[:, None])


@triton.jit
def _degree(m_M):
    """Degree of each harmonic, less 1: they begin at 0, 3, 8, 15, 24 and 35."""
    return (m_M >= 3).to(tl.int32) + (m_M >= 8) + (m_M >= 15) + (m_M >= 24) + (m_M >= 35)


@triton.jit
def sum_moments_backward(
    v,
    w,
    moments,
    counts,
    row_starts,
    far_sites,
    d_sums,
    d_v,
    d_w,
    L: tl.constexpr,
    K: tl.constexpr,
    N_MOMENTS: tl.constexpr,
    M: tl.constexpr,
    P: tl.constexpr,
):
    """Gradients of `sum_moments`: of its pairs' radial functions, and parts of far sites' values."""
    i = tl.program_id(0)
    first, last = tl.load(row_starts + i), tl.load(row_starts + i + 1)
    k_K, m_M = tl.arange(0, K), tl.arange(0, M)
    in_M, degree_M = m_M < N_MOMENTS, _degree(m_M)
    d_sums_MK = tl.load(d_sums + (i * N_MOMENTS + m_M[:, None]) * K + k_K[None, :], in_M[:, None], 0.0)
    for start in range(first, last, P):
        e_P = start + tl.arange(0, P)
        in_P = e_P < last
        far_PK = tl.load(far_sites + e_P, in_P, 0)[:, None] * K + k_K[None, :]
        v_PK, count_P = tl.load(v + far_PK, in_P[:, None], 0.0), tl.load(counts + e_P, in_P, 0.0)
        in_PM = in_P[:, None] & in_M[None, :]
        y_PM = tl.load(moments + e_P[:, None] * N_MOMENTS + m_M[None, :], in_PM, 0.0) * count_P[:, None]
        at_PMK = e_P[:, None, None] * (L * K) + degree_M[None, :, None] * K + k_K[None, None, :]
        w_PMK = tl.load(w + at_PMK, in_PM[:, :, None], 0.0)
        d_PMK = y_PM[:, :, None] * d_sums_MK[None, :, :]
        tl.atomic_add(d_v + far_PK, tl.sum(w_PMK * d_PMK, axis=1), in_P[:, None], sem="relaxed")
        for degree in tl.static_range(L):
            d_w_PK = v_PK * tl.sum(tl.where(degree_M[None, :, None] == degree, d_PMK, 0.0), axis=1)
            tl.store(d_w + e_P[:, None] * (L * K) + degree * K + k_K[None, :], d_w_PK, in_P[:, None])


@triton.jit
def sum_gated(
    sites,
    radial,
    counts,
    row_starts,
    far_sites,
    sums,
    G: tl.constexpr,
    P: tl.constexpr,
):
    """The `sums` (N, G) of gated messages of a row.

    A site has, side by side, what it adds as the near end to gate and message, and the same as the far end.
    """
    i = tl.program_id(0)
    first, last = tl.load(row_starts + i), tl.load(row_starts + i + 1)
    c_G = tl.arange(0, G)
    gate_1G, message_1G = tl.load(sites + 4 * i * G + c_G)[None, :], tl.load(sites + (4 * i + 1) * G + c_G)[None, :]
    sums_G = tl.zeros((G,), tl.float32)
    for start in range(first, last, P):
        e_P = start + tl.arange(0, P)
        in_P1 = (e_P < last)[:, None]
        far_PG = (4 * tl.load(far_sites + e_P, e_P < last, 0) + 2)[:, None] * G + c_G[None, :]
        at_PG = (2 * e_P * G)[:, None] + c_G[None, :]
        gate_PG = gate_1G + tl.load(sites + far_PG, in_P1, 0.0) + tl.load(radial + at_PG, in_P1, 0.0)
        message_PG = message_1G + tl.load(sites + far_PG + G, in_P1, 0.0) + tl.load(radial + at_PG + G, in_P1, 0.0)
        count_P1 = tl.load(counts + e_P, e_P < last, 0.0)[:, None]
        sums_G += tl.sum(count_P1 * tl.sigmoid(gate_PG) * message_PG * tl.sigmoid(message_PG), axis=0)
    tl.store(sums + i * G + c_G, sums_G)


@triton.jit
def sum_gated_backward(
    sites,
    radial,
    counts,
    row_starts,
    far_sites,
    d_sums,
    d_sites,
    d_radial,
    G: tl.constexpr,
    P: tl.constexpr,
):
    """Gradients of `sum_gated`: of its near site, of its pairs' radial functions, and parts of far sites'."""
    i = tl.program_id(0)
    first, last = tl.load(row_starts + i), tl.load(row_starts + i + 1)
    c_G = tl.arange(0, G)
    gate_1G, message_1G = tl.load(sites + 4 * i * G + c_G)[None, :], tl.load(sites + (4 * i + 1) * G + c_G)[None, :]
    d_sums_1G = tl.load(d_sums + i * G + c_G)[None, :]
    d_gate_G, d_message_G = tl.zeros((G,), tl.float32), tl.zeros((G,), tl.float32)
    for start in range(first, last, P):
        e_P = start + tl.arange(0, P)
        in_P1 = (e_P < last)[:, None]
        far_PG = (4 * tl.load(far_sites + e_P, e_P < last, 0) + 2)[:, None] * G + c_G[None, :]
        at_PG = (2 * e_P * G)[:, None] + c_G[None, :]
        gate_PG = gate_1G + tl.load(sites + far_PG, in_P1, 0.0) + tl.load(radial + at_PG, in_P1, 0.0)
        message_PG = message_1G + tl.load(sites + far_PG + G, in_P1, 0.0) + tl.load(radial + at_PG + G, in_P1, 0.0)
        d_PG = tl.load(counts + e_P, e_P < last, 0.0)[:, None] * d_sums_1G
        open_PG, on_PG = tl.sigmoid(gate_PG), tl.sigmoid(message_PG)
        d_gate_PG = d_PG * message_PG * on_PG * open_PG * (1 - open_PG)
        d_message_PG = d_PG * open_PG * on_PG * (1 + message_PG * (1 - on_PG))
        tl.store(d_radial + at_PG, d_gate_PG, in_P1)
        tl.store(d_radial + at_PG + G, d_message_PG, in_P1)
        tl.atomic_add(d_sites + far_PG, d_gate_PG, in_P1, sem="relaxed")
        tl.atomic_add(d_sites + far_PG + G, d_message_PG, in_P1, sem="relaxed")
        d_gate_G += tl.sum(d_gate_PG, axis=0)
        d_message_G += tl.sum(d_message_PG, axis=0)
    tl.store(d_sites + 4 * i * G + c_G, d_gate_G)
    tl.store(d_sites + (4 * i + 1) * G + c_G, d_message_G)
