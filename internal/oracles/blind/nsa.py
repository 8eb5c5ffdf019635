"""
Native sparse attention in float64 NumPy, written from the paper's equations alone, by someone who had not read this library's code.
Run by hand: python internal/oracles/blind/nsa.py > internal/oracles/blind/nsa.json
Source: Yuan et al., "Native Sparse Attention", arXiv:2502.11089, equations (5) and (7) to (12), section 3.3.3 and section 4.1.
Cross-checked when written, to 1e-12, against public torch code run on the CPU in float64: naive_nsa_with_compression of
fla-org/native-sparse-attention (bd67af59b90afa34b25f61d2922e612d10dba3bd) on the case `mean`: selected blocks, branches, gated sum;
compressed_attention_torch and topk_sparse_attention_torch of XunhaoLai/native-sparse-attention-triton
(9bea856c911ebf263be88d797fb28458f82f1d94) on the other cases: compressed branch, importance, selected blocks, selected branch.
Every shape is in a comment beside its name; `choices` lists what the paper leaves open and what was taken here.
"""
import json
import math

import numpy as np

CHOICES = [
    "Projections: rows times matrices without bias, x (T, d_model); q = x W_Q shared by the branches; each branch has its own keys and values, x W_K_c and x W_V_c, c in cmp, slc, win (section 3.3.3).",
    "No rotary or other position encoding on q or k: the paper does not say where one goes.",
    "phi of (7): block k[i d + 1 : i d + l] plus the intra-block encoding pe (l, d_k), flattened position-major (position, then channel), then phi.form: 'mlp' = act(z W1 + b1) W2 + b2, 'linear' = z W + b, 'mean' = mean over the block (pe included, zero here). One phi for keys and one for values, each shared by all kv heads.",
    "Blocks of (7): i from 0 to floor((t - l) / d), t counted from 1: a block is seen from its last token on. Before the first block is whole the compressed branch's output is 0.",
    "Every softmax, that of (8) too, is over scores divided by sqrt(d_k).",
    "(9) is read with both indices counted from 1: p_slc[j] = sum over m, n of p_cmp[l'/d j - m - n], absent entries 0. So each compressed block weighs as many strides as it shares with selection block j, which is where the formula with indices from 0 would not look; l' = l = d gives p_slc = p_cmp.",
    "(10) sums over the query heads that share a kv head (consecutive ones); the selection is shared in that group.",
    "(11): candidates are the selection blocks with a token at or before t. `initial` first blocks and `local` last blocks (the one t is in and those before it) are always selected and count among the n; the others fill up by descending score, ties to the lower index. Fewer candidates than n: all.",
    "Selected branch: one softmax over all tokens of the selected blocks at or before t; a last block that is not whole is used as far as it goes.",
    "Window branch: `window` is how many tokens are seen, t itself included. The paper's k_{t-w:t} read inclusively is w + 1 tokens, read as 'a window w' w tokens: both occur in public code.",
    "Gates: sigmoid(x W_g + b_g), a perceptron without hidden layer, per query head and branch; columns head-major, then cmp, slc, win.",
    "Output: heads concatenated, times W_O.",
]


def softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


ACTIVATIONS = {
    "relu": lambda z: np.maximum(z, 0),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "gelu": lambda z: z * 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2))),
}


def compress(phi, x, l, d):
    """(7) for one kv head: x (T, width) -> (blocks, width)."""
    blocks = []
    for i in range((len(x) - l) // d + 1 if len(x) >= l else 0):
        block = x[i * d : i * d + l] + phi["pe"]
        z = block.reshape(-1)
        if phi["form"] == "mean":
            blocks.append(block.mean(0))
        elif phi["form"] == "linear":
            blocks.append(z @ phi["W"] + phi["b"])
        else:
            blocks.append(ACTIVATIONS[phi["form"]](z @ phi["W1"] + phi["b1"]) @ phi["W2"] + phi["b2"])
    return np.array(blocks).reshape(len(blocks), x.shape[1])


def importance(p_cmp, l, d, l_sel, blocks):
    """(9), indices from 1."""
    p_slc = np.zeros(blocks)
    for j in range(1, blocks + 1):
        for m in range(l_sel // d):
            for n in range(l // d):
                index = l_sel // d * j - m - n
                if 1 <= index <= len(p_cmp):
                    p_slc[j - 1] += p_cmp[index - 1]
    return p_slc


def select(scores, t, l_sel, n, initial, local):
    """(11), blocks from 0, t from 1. Also the gap between the last block taken and the best one left."""
    candidates = range(-(-t // l_sel))
    last = (t - 1) // l_sel
    forced = [j for j in candidates if j < initial or j > last - local]
    rest = sorted((j for j in candidates if j not in forced), key=lambda j: (-scores[j], j))
    room = max(n - len(forced), 0)
    gap = scores[rest[room - 1]] - scores[rest[room]] if 0 < room < len(rest) else math.inf
    return sorted(forced + rest[:room]), gap


def nsa(c, x, w):
    H, G, T = c["H"], c["H"] // c["H_kv"], len(x)
    l, d, l_sel = c["l"], c["d"], c["l_sel"]
    scale = 1 / math.sqrt(c["d_k"])
    heads = lambda y, n: y.reshape(T, n, -1).transpose(1, 0, 2)
    q = heads(x @ w["W_Q"], H)  # (H, T, d_k)
    k = {b: heads(x @ w[f"W_K_{b}"], c["H_kv"]) for b in ("cmp", "slc", "win")}  # (H_kv, T, d_k)
    v = {b: heads(x @ w[f"W_V_{b}"], c["H_kv"]) for b in ("cmp", "slc", "win")}  # (H_kv, T, d_v)
    k_cmp = np.array([compress(w["phi_K"], y, l, d) for y in k["cmp"]])  # (H_kv, blocks, d_k)
    v_cmp = np.array([compress(w["phi_V"], y, l, d) for y in v["cmp"]])  # (H_kv, blocks, d_v)
    o = {b: np.zeros((T, H, c["d_v"])) for b in ("cmp", "slc", "win")}
    blocks = -(-T // l_sel)
    p_slc = np.zeros((T, c["H_kv"], blocks))  # (10)
    selected = [[None] * c["H_kv"] for _ in range(T)]
    smallest = math.inf
    for t in range(1, T + 1):
        seen = (t - l) // d + 1 if t >= l else 0
        for g in range(c["H_kv"]):
            group = range(g * G, (g + 1) * G)
            for h in group:
                if seen:
                    p_cmp = softmax(k_cmp[g, :seen] @ q[h, t - 1] * scale)  # (8)
                    o["cmp"][t - 1, h] = p_cmp @ v_cmp[g, :seen]
                    p_slc[t - 1, g] += importance(p_cmp, l, d, l_sel, blocks)
            picked, gap = select(p_slc[t - 1, g], t, l_sel, c["n"], c["initial"], c["local"])
            smallest = min(smallest, gap)
            selected[t - 1][g] = picked
            tokens = [s for j in picked for s in range(j * l_sel, min((j + 1) * l_sel, t))]  # (12), causal
            recent = range(max(0, t - c["window"]), t)
            for h in group:
                for b, rows in (("slc", tokens), ("win", list(recent))):
                    o[b][t - 1, h] = softmax(k[b][g, rows] @ q[h, t - 1] * scale) @ v[b][g, rows]
    assert smallest > 1e-4, f"a selection hangs on {smallest}"
    gates = 1 / (1 + np.exp(-(x @ w["W_g"] + w["b_g"])))
    gates = gates.reshape(T, H, 3)
    o_star = sum(gates[..., i : i + 1] * o[b] for i, b in enumerate(("cmp", "slc", "win")))  # (5)
    return dict(k_cmp=k_cmp, v_cmp=v_cmp, p_slc=p_slc, selected=selected, o_cmp=o["cmp"], o_slc=o["slc"], o_win=o["win"], gates=gates, o_star=o_star, y=o_star.reshape(T, -1) @ w["W_O"])


def phi(draw, form, l, width):
    if form == "mean":
        return dict(form=form, pe=np.zeros((l, width)))
    pe = draw(l, width, scale=0.5)
    if form == "linear":
        return dict(form=form, pe=pe, W=draw(l * width, width), b=draw(width))
    hidden = 6
    return dict(form=form, pe=pe, W1=draw(l * width, hidden), b1=draw(hidden), W2=draw(hidden, width), b2=draw(width))


def inputs(c):
    rng = np.random.default_rng(c["seed"])

    def draw(*shape, scale=None):
        return np.round(rng.standard_normal(shape) * (scale or shape[0] ** -0.5), 4)

    m, kv = c["d_model"], c["H_kv"]
    x = draw(c["T"], m, scale=1)
    w = dict(W_Q=draw(m, c["H"] * c["d_k"], scale=1.5 * m**-0.5))
    for i, b in enumerate(("cmp", "slc", "win")):
        w[f"W_K_{b}"] = w["W_K_cmp"] if c["shared_kv"] and i else draw(m, kv * c["d_k"])
        w[f"W_V_{b}"] = w["W_V_cmp"] if c["shared_kv"] and i else draw(m, kv * c["d_v"])
    w["phi_K"] = phi(draw, c["phi"], c["l"], c["d_k"])
    w["phi_V"] = phi(draw, c["phi"], c["l"], c["d_v"])
    w["W_g"], w["b_g"] = draw(m, 3 * c["H"]), draw(3 * c["H"], scale=0.5)
    w["W_O"] = draw(c["H"] * c["d_v"], m)
    return x, w


COMMON = dict(d_model=6, shared_kv=False, initial=1, local=2)
CASES = [
    dict(COMMON, name="relu", seed=1, T=41, H=4, H_kv=2, d_k=4, d_v=4, l=4, d=2, l_sel=8, n=4, window=6, phi="relu"),
    dict(COMMON, name="silu", seed=2, T=21, H=4, H_kv=2, d_k=4, d_v=4, l=4, d=2, l_sel=4, n=4, window=5, phi="silu"),
    dict(COMMON, name="gelu", seed=3, T=22, H=4, H_kv=1, d_k=4, d_v=4, l=4, d=2, l_sel=4, n=5, window=5, phi="gelu"),
    dict(COMMON, name="linear", seed=4, T=35, H=3, H_kv=3, d_k=4, d_v=2, l=6, d=3, l_sel=6, n=4, window=7, phi="linear"),
    dict(COMMON, name="mean", seed=5, T=19, H=4, H_kv=1, d_k=4, d_v=4, l=4, d=4, l_sel=4, n=3, window=5, phi="mean", shared_kv=True, initial=0, local=1),
    dict(COMMON, name="short", seed=6, T=3, H=4, H_kv=2, d_k=4, d_v=4, l=4, d=2, l_sel=8, n=4, window=2, phi="relu"),
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
    cases = []
    for c in CASES:
        x, w = inputs(c)
        cases.append(dict(config=c, x=x, weights=w, stages=nsa(c, x, w)))
    print(json.dumps(dict(choices=CHOICES, cases=plain(cases)), separators=(",", ":")))
