"""Cross-layer attention (https://arxiv.org/abs/2405.12981, section 2.2) in float64 NumPy: layer 0 makes keys and values, layer 1 reads
them with its own queries. Causal, rotary positions as in Llama (theta 10000, halves), residual stream without norms.
Writes packages/attention-heads/test/cla.json. Run by hand: python internal/oracles/cla.py"""
import json
import pathlib
import numpy as np

T, DIM, HEADS, KV, D = 7, 12, 4, 2, 6
rng = np.random.default_rng(12981)
w = {n: rng.normal(size=s).astype(np.float32).astype(np.float64) / np.sqrt(s[-1]) for n, s in {
    "0.q": (HEADS * D, DIM), "0.k": (KV * D, DIM), "0.v": (KV * D, DIM), "0.o": (DIM, HEADS * D),
    "1.q": (HEADS * D, DIM), "1.o": (DIM, HEADS * D)}.items()}
w = {n: x.astype(np.float32).astype(np.float64) for n, x in w.items()}
x0 = rng.normal(size=(T, DIM)).astype(np.float32).astype(np.float64)


def rope(x):  # (T, heads, D)
    f = 10000.0 ** (-np.arange(0, D, 2) / D)
    a = np.arange(T)[:, None] * f
    c, s = np.cos(a)[:, None], np.sin(a)[:, None]
    p, q = x[..., : D // 2], x[..., D // 2 :]
    return np.concatenate([p * c - q * s, q * c + p * s], -1)


def mix(q, k, v):
    out = np.zeros((T, HEADS, D))
    for h in range(HEADS):
        g = h * KV // HEADS
        s = q[:, h] @ k[:, g].T / np.sqrt(D)
        s[np.triu_indices(T, 1)] = -np.inf
        e = np.exp(s - s.max(-1, keepdims=True))
        out[:, h] = e / e.sum(-1, keepdims=True) @ v[:, g]
    return out.reshape(T, -1)


k = rope((x0 @ w["0.k"].T).reshape(T, KV, D))
v = (x0 @ w["0.v"].T).reshape(T, KV, D)
a0 = mix(rope((x0 @ w["0.q"].T).reshape(T, HEADS, D)), k, v) @ w["0.o"].T
x1 = x0 + a0
a1 = mix(rope((x1 @ w["1.q"].T).reshape(T, HEADS, D)), k, v) @ w["1.o"].T
flat = lambda x: [float(y) for y in np.asarray(x).ravel()]
out = {"config": {"dim": DIM, "heads": HEADS, "kvHeads": KV, "headDim": D}, "tokens": T,
       "weights": {n: flat(x) for n, x in w.items()}, "x": flat(x0), "first": flat(a0), "second": flat(a1)}
path = pathlib.Path(__file__).parents[2] / "packages/attention-heads/test/cla.json"
path.parent.mkdir(exist_ok=True)
path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
