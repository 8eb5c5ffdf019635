"""
CASTLE and CASTLE-SWL in float64 NumPy, written from the paper's equations alone, by someone who had not read this library's code.
Run by hand: python internal/oracles/blind/castle.py > internal/oracles/blind/castle.json
Source: Song et al., "Causal Attention with Lookahead Keys", arXiv:2509.07301v2: the recurrent form (3) to (8) with the masks (4) and
(9), the parallel form (11) and (12) of theorem 1, the cache update (13), the heads (14). The three forms agree to 1e-12 (asserted).
Cross-checked when written, to 1e-12, against Castle of lucidrains/lookahead-keys-attention
(84647dcaa5e55eb5c41842a5afce927730ecf42b) run on the CPU in float64, whole sequence and token by token (the cases without a window).
"""
import json

import numpy as np

CHOICES = [
    "Vectors are rows and weights multiply from the right, as in the paper: W_UQ, W_UK, W_UV, W_CQ, W_CK, W_CV (d_model, n d), columns head-major; W_O (n d, d_model). No biases.",
    "No rotary or other position encoding: the equations have none (the paper's models use rotary embeddings without saying on which of the six projections).",
    "Scale 1/sqrt(d) in all three products: q_U k_U, q_C k_C and q_C u.",
    "M_U of (4) is strictly causal the other way: token i's lookahead key sees j with i < j <= t; the last token's is a row of zeros (sigmoid of -inf is 0).",
    "SWL (9): i < j <= min(t, i + W). W null: (4).",
    "Scores of (7): s_C - SiLU(s_U), the softmax over tokens 1 to t.",
    "The lookahead keys U after the last token (what the cache of section 2.4 holds beside Q_U, K_C, V_C) are given as U.",
]


def softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(z):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-z))


def silu(z):
    return z * sigmoid(z)


def lookahead_mask(t, window):
    """(4), or (9) with a window."""
    i, j = np.arange(t)[:, None], np.arange(t)[None]
    return np.where((i < j) & (j <= i + (window or t)), 0.0, -np.inf)


def recurrent(p, window):
    """(3), (5) to (8), every step from its definition. One head: p's arrays are (L, d)."""
    L, d = p["Q_C"].shape
    scores, outputs, U = np.zeros((L, L)), [], None
    for t in range(1, L + 1):
        U = sigmoid(p["Q_U"][:t] @ p["K_U"][:t].T / d**0.5 + lookahead_mask(t, window)) @ p["V_U"][:t]
        s_C = p["Q_C"][t - 1] @ p["K_C"][:t].T / d**0.5
        s_U = p["Q_C"][t - 1] @ U.T / d**0.5
        scores[t - 1, :t] = s_U
        outputs.append(softmax(s_C - silu(s_U)) @ p["V_C"][:t])
    return dict(S_U=scores, U=U, o=np.array(outputs))


def parallel(p, window):
    """(11) and (12)."""
    L, d = p["Q_C"].shape
    causal = np.tril(np.ones((L, L)))
    S_U = (p["Q_C"] @ p["V_U"].T / d**0.5 * causal) @ sigmoid(p["Q_U"] @ p["K_U"].T / d**0.5 + lookahead_mask(L, window)).T
    with np.errstate(divide="ignore"):
        A = softmax(p["Q_C"] @ p["K_C"].T / d**0.5 + np.log(causal) - silu(S_U))
    return dict(S_U=S_U * causal, A=A, o=A @ p["V_C"])


def cached(p, window):
    """The decoding of section 2.4: U is carried and grows by (13)."""
    L, d = p["Q_C"].shape
    U, outputs = np.zeros((0, d)), []
    for t in range(1, L + 1):
        column = lookahead_mask(t, window)[: t - 1, t - 1]
        old = U + sigmoid(p["Q_U"][: t - 1] @ p["K_U"][t - 1] / d**0.5 + column)[:, None] * p["V_U"][t - 1]
        U = np.concatenate([old, np.zeros((1, d))])
        q = p["Q_C"][t - 1]
        outputs.append(softmax(q @ p["K_C"][:t].T / d**0.5 - silu(q @ U.T / d**0.5)) @ p["V_C"][:t])
    return dict(U=U, o=np.array(outputs))


def case(c):
    rng = np.random.default_rng(c["seed"])
    draw = lambda *s, scale: np.round(rng.standard_normal(s) * scale, 4)
    m, n, d = c["d_model"], c["n"], c["d"]
    x = draw(c["L"], m, scale=1)
    weights = {f"W_{a}": draw(m, n * d, scale=1.5 * m**-0.5) for a in ("UQ", "UK", "UV", "CQ", "CK", "CV")}
    weights["W_O"] = draw(n * d, m, scale=(n * d) ** -0.5)
    stages = dict(S_U=[], U=[], A=[], o=[])
    for h in range(n):
        p = {f"{a}_{b}": x @ weights[f"W_{b}{a}"][:, h * d : (h + 1) * d] for a in "QKV" for b in "UC"}
        r, q, s = recurrent(p, c["W"]), parallel(p, c["W"]), cached(p, c["W"])
        for a, b in ((r["o"], q["o"]), (r["S_U"], q["S_U"]), (r["o"], s["o"]), (r["U"], s["U"])):
            assert np.abs(a - b).max() < 1e-12
        for key, value in dict(S_U=q["S_U"], U=r["U"], A=q["A"], o=q["o"]).items():
            stages[key].append(value)
    stages = {k: np.array(v) for k, v in stages.items()}
    y = stages["o"].transpose(1, 0, 2).reshape(c["L"], -1) @ weights["W_O"]
    return dict(config=c, x=x, weights=weights, stages=dict(stages, y=y))


CASES = [
    dict(name="two heads", seed=11, L=11, d_model=6, n=2, d=4, W=None),
    dict(name="three heads, longer", seed=12, L=24, d_model=8, n=3, d=2, W=None),
    dict(name="one token", seed=13, L=1, d_model=6, n=2, d=4, W=None),
    dict(name="sliding window", seed=14, L=13, d_model=6, n=2, d=4, W=3),
]


def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    return round(value, 9) if isinstance(value, float) else value


if __name__ == "__main__":
    print(json.dumps(dict(choices=CHOICES, cases=plain([case(c) for c in CASES])), separators=(",", ":")))
