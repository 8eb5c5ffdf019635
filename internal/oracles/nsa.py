"""Writes packages/attention-sparse/test/nsa-oracle.json: native sparse attention, transcribed from the paper in float64.

By hand: python internal/oracles/nsa.py. Source: https://arxiv.org/abs/2502.11089v2, equations 3 to 12 (section 3.2 and 3.3); written from the
paper, one query at a time. Rows count from 0 here, so that compressed block i stands for rows [i d, i d + l) and selection block j for
rows [j l', (j + 1) l'): equation 9's sum is over the strides of d rows that both hold. Keys are not turned by positions.
"""
import json
import pathlib

import numpy as np

rng = np.random.default_rng(11)
T, DIM, HEADS, GROUPS, D = 60, 12, 4, 2, 8
rounded = lambda *shape, by=1.0: np.round(rng.standard_normal(shape) * by, 3)
flat = lambda a: [round(float(v), 9) for v in a.ravel()]
silu = lambda a: a / (1 + np.exp(-a))
sigmoid = lambda a: 1 / (1 + np.exp(-a))


def softmax(scores):
    e = np.exp(scores - scores.max())
    return e / e.sum()


def summarise(rows, s):  # φ of equation 7: rows (l, D) and their place in the block
    return s["down"] @ silu(s["up"] @ (rows + s["place"]).ravel())


def layer(x, p, l, d, block, pick, first, near, window):
    project = lambda w: (x @ w.T).reshape(T, -1, D)
    q = project(p["q"])
    keys, values = ({n: project(p[f"{n}.{kv}"]) for n in ("compressed", "selected", "near")} for kv in "kv")
    out = np.zeros((T, HEADS, D))
    for t in range(T):
        g = sigmoid(p["gate"] @ x[t] + p["gate.bias"]).reshape(HEADS, 3)
        for group in range(GROUPS):
            heads = range(group * HEADS // GROUPS, (group + 1) * HEADS // GROUPS)
            starts = [i * d for i in range(T) if i * d + l <= t + 1]
            ck = np.array([summarise(keys["compressed"][s : s + l, group], p["key"]) for s in starts])
            cv = np.array([summarise(values["compressed"][s : s + l, group], p["value"]) for s in starts])
            blocks = range(t // block + 1)
            worth = np.zeros(len(blocks))
            for h in heads:
                if not starts:
                    continue
                weights = softmax(ck @ q[t, h] / np.sqrt(D))  # equation 8
                out[t, h] += g[h, 0] * (weights @ cv)
                for j in blocks:  # equations 9 and 10
                    for s, w in zip(starts, weights):
                        worth[j] += w * sum(1 for at in range(s, s + l, d) if j * block <= at < (j + 1) * block)
            own = t // block
            fixed = [j for j in blocks if j == own or j < first or j >= own - near]
            best = [j for j in np.argsort(-worth, kind="stable") if j not in fixed]
            chosen = (fixed + best)[:pick] if len(fixed) <= pick else fixed
            seen = sorted(r for j in chosen for r in range(j * block, min((j + 1) * block, t + 1)))
            last = range(max(0, t - window + 1), t + 1)
            for h in heads:
                for branch, rows in (("selected", seen), ("near", last)):
                    rows = list(rows)
                    weights = softmax(keys[branch][rows, group] @ q[t, h] / np.sqrt(D))
                    out[t, h] += g[h, 1 if branch == "selected" else 2] * (weights @ values[branch][rows, group])
    return out.reshape(T, -1) @ p["o"].T


cases = []
x = rounded(T, DIM)
for l, d, block, pick, first, near, window in [(8, 4, 8, 4, 1, 1, 6), (4, 4, 8, 3, 0, 0, 10), (8, 2, 4, 6, 1, 2, 5)]:
    hidden = 6
    summary = lambda: dict(place=rounded(l, D, by=0.2), up=rounded(hidden, l * D, by=(l * D) ** -0.5), down=rounded(D, hidden, by=0.6))
    p = {f"{n}.{kv}": rounded(GROUPS * D, DIM, by=0.5) for n in ("compressed", "selected", "near") for kv in "kv"}
    p |= dict(q=rounded(HEADS * D, DIM, by=0.6), o=rounded(DIM, HEADS * D, by=0.2), gate=rounded(HEADS * 3, DIM, by=0.3))
    p |= {"gate.bias": rounded(HEADS * 3), "key": summary(), "value": summary()}
    out = layer(x, p, l, d, block, pick, first, near, window)
    names = {"key": "compressed.keySummary", "value": "compressed.valueSummary"}
    weights = {n: flat(w) for n, w in p.items() if n not in names}
    weights |= {f"{names[n]}.{part}": flat(w) for n in names for part, w in p[n].items()}
    config = dict(compress=dict(size=l, stride=d, hidden=hidden), block=block, pick=pick, first=first, near=near, window=window)
    cases.append(dict(config=config, weights=weights, out=flat(out)))
sizes = dict(dim=DIM, heads=HEADS, kvHeads=GROUPS, headDim=D)
path = pathlib.Path(__file__).parents[2] / "packages/attention-sparse/test/nsa-oracle.json"
json.dump(dict(source="https://arxiv.org/abs/2502.11089v2", tokens=T, sizes=sizes, x=flat(x), cases=cases), open(path, "w"))
