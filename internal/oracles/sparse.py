"""Writes packages/attention-sparse/test/oracle.json: outputs of MoBA and Quest as their authors' reference code computes them.

By hand: python internal/oracles/sparse.py MOBA QUEST, with checkouts of
  github.com/MoonshotAI/MoBA    commit 61e456bc956c5a25fd9c84e5496b661329cb1b72  moba/moba_naive.py
  github.com/mit-han-lab/Quest  commit 01c1623bf9395009520874e989e29f683203b357  quest/tests/test_approx_attention.py
Their functions are run as they are, but in float64, around projections without positions.
"""
import ast
import json
import math
import pathlib
import sys

import torch

moba, quest = (pathlib.Path(p) for p in sys.argv[1:3])
TOKENS, DIM, HEADS, KV_HEADS, D = 45, 16, 4, 2, 8


def function(path, name):
    """A function of the checkout, with float64 for float32."""
    text = path.read_text()
    node = next(n for n in ast.parse(text).body if getattr(n, "name", "") == name)
    source = ast.get_source_segment(text, node).replace("torch.float32", "torch.float64").replace(".float()", ".double()")
    scope = dict(torch=torch, math=math, nn=torch.nn)
    exec(source, scope)
    return scope[name]


def rounded(*shape):
    return torch.round(torch.randn(*shape, dtype=torch.float64) * 1e3) / 1e3


torch.manual_seed(4)
x = rounded(TOKENS, DIM)
weights = dict(q=rounded(HEADS * D, DIM) / 2, k=rounded(KV_HEADS * D, DIM) / 2, v=rounded(KV_HEADS * D, DIM) / 2, o=rounded(DIM, HEADS * D) / 4)
q, k, v = ((x @ weights[n].T).view(TOKENS, -1, D) for n in "qkv")
k, v = (t.repeat_interleave(HEADS // KV_HEADS, dim=1) for t in (k, v))
flat = lambda t: [round(n, 9) for n in t.flatten().tolist()]

moba_naive = function(moba / "moba/moba_naive.py", "moba_attn_varlen_naive")
quest_reference = function(quest / "quest/tests/test_approx_attention.py", "_ref_self_approx_attention")
cases = []
for block, pick in [(8, 2), (4, 3), (8, 4)]:
    out = moba_naive(q, k, v, torch.tensor([0, TOKENS]), TOKENS, block, pick)
    cases.append(dict(name="moba", block=block, pick=pick, out=flat(out.reshape(TOKENS, -1) @ weights["o"].T)))
    rows = [quest_reference(q[t : t + 1], k[: t + 1], v[: t + 1], block, pick)[0] for t in range(TOKENS)]
    cases.append(dict(name="quest", block=block, pick=pick, out=flat(torch.cat(rows).reshape(TOKENS, -1) @ weights["o"].T)))
json.dump(
    dict(sizes=dict(tokens=TOKENS, dim=DIM, heads=HEADS, kvHeads=KV_HEADS, headDim=D), x=flat(x), weights={n: flat(w) for n, w in weights.items()}, cases=cases),
    open(pathlib.Path(__file__).parents[2] / "packages/attention-sparse/test/oracle.json", "w"),
)
