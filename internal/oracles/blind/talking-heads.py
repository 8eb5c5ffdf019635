"""
Talking-heads attention in float64 NumPy, written from the paper's pseudocode alone, by someone who had not read this library's code.
Run by hand: python internal/oracles/blind/talking-heads.py > internal/oracles/blind/talking-heads.json
Source: Shazeer et al., "Talking-Heads Attention", arXiv:2003.02436, the einsum pseudocode; the causal mask from the authors'
TalkingHeadsSelfAttention in mesh_tensorflow/transformer/transformer_layers.py, which adds it to the logits after P_l.
Names and axes are the paper's: P_q (d_X, d_k, h_k), P_k (d_M, d_k, h_k), P_v (d_M, d_v, h_v), P_o (d_Y, d_v, h_v), P_l (h_k, h),
P_w (h, h_v); J (n, m, h_k), L, W (n, m, h), U (n, m, h_v), O (n, d_v, h_v), Y (n, d_Y).
"""
import json

import numpy as np

CHOICES = [
    "Logits are not scaled: the paper folds 1/sqrt(d_k) into the initial query projection. (A scale s on J is the same as P_q times s.)",
    "A causal mask is -inf on L, after P_l and before the softmax; masked entries of L are left out (null) in the JSON.",
    "No biases, no position encoding, no dropout, no projections that depend on the input.",
    "Where P_l or P_w is null the heads on both its sides are the same and are not mixed (the paper's variants with one projection only).",
]


def attention(c, X, M, w):
    Q = np.einsum("na,akh->nkh", X, w["P_q"])
    K = np.einsum("ma,akh->mkh", M, w["P_k"])
    V = np.einsum("ma,avh->mvh", M, w["P_v"])
    J = np.einsum("nkh,mkh->nmh", Q, K)
    L = J if w["P_l"] is None else np.einsum("nmi,ih->nmh", J, w["P_l"])
    if c["causal"]:
        L = np.where(np.arange(len(M))[None, :, None] > np.arange(len(X))[:, None, None], -np.inf, L)
    e = np.exp(L - L.max(1, keepdims=True))
    W = e / e.sum(1, keepdims=True)
    U = W if w["P_w"] is None else np.einsum("nmh,hi->nmi", W, w["P_w"])
    O = np.einsum("nmh,mvh->nvh", U, V)
    return dict(J=J, L=L, W=W, U=U, O=O, Y=np.einsum("nvh,yvh->ny", O, w["P_o"]))


def case(c):
    rng = np.random.default_rng(c["seed"])
    draw = lambda *s, scale: np.round(rng.standard_normal(s) * scale, 4)
    X = draw(c["n"], c["d_X"], scale=1)
    M = X if c["self"] else draw(c["m"], c["d_X"], scale=1)
    h_k, h, h_v = c["h_k"], c["h"], c["h_v"]
    w = dict(
        P_q=draw(c["d_X"], c["d_k"], h_k, scale=(c["d_X"] * c["d_k"]) ** -0.5 * 1.5),
        P_k=draw(c["d_X"], c["d_k"], h_k, scale=c["d_X"] ** -0.5),
        P_v=draw(c["d_X"], c["d_v"], h_v, scale=c["d_X"] ** -0.5),
        P_o=draw(c["d_X"], c["d_v"], h_v, scale=(c["d_v"] * h_v) ** -0.5),
        P_l=draw(h_k, h, scale=h_k**-0.5) if c["logits"] else None,
        P_w=draw(h, h_v, scale=h**-0.5) if c["weights"] else None,
    )
    return dict(config=c, X=X, M=M, weights=w, stages=attention(c, X, M, w))


COMMON = {"self": True, "causal": True, "logits": True, "weights": True, "d_X": 8}
CASES = [
    dict(COMMON, name="same heads, causal", seed=21, n=11, m=11, d_k=4, d_v=4, h_k=4, h=4, h_v=4),
    dict(COMMON, name="three head counts, causal", seed=22, n=9, m=9, d_k=4, d_v=3, h_k=2, h=5, h_v=3),
    dict(COMMON, name="both ways", seed=23, n=7, m=7, d_k=4, d_v=4, h_k=4, h=4, h_v=4, causal=False),
    dict(COMMON, name="cross, three head counts", seed=24, n=5, m=8, d_k=2, d_v=4, h_k=3, h=6, h_v=2, causal=False, self=False),
    dict(COMMON, name="logits only", seed=25, n=8, m=8, d_k=4, d_v=4, h_k=4, h=4, h_v=4, weights=False),
    dict(COMMON, name="weights only", seed=26, n=8, m=8, d_k=4, d_v=4, h_k=4, h=4, h_v=4, logits=False),
]


def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float):
        return None if np.isinf(value) else round(value, 9)
    return value


if __name__ == "__main__":
    print(json.dumps(dict(choices=CHOICES, cases=plain([case(c) for c in CASES])), separators=(",", ":")))
