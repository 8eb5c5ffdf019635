"""Writes packages/attention-mixing/test/oracle.json: PaTH and multi-token attention as their authors' code computes them, CASTLE and talking
heads transcribed from their papers, all in float64 and without turned positions.

By hand: python internal/oracles/mixing.py FLA RAM, with checkouts of
  github.com/fla-org/flash-linear-attention  commit bc3b101dcb713ddc5bd8924b66754eb68b5ccf89  fla/ops/path_attn/naive.py, fla/layers/path_attn.py
  github.com/facebookresearch/RAM            commit e6f051fbcfaef4cab69bf2ea1b25f500f94c0c64  projects/mta/mta_transformer.py
CASTLE by https://arxiv.org/abs/2509.07301, definition of lookahead keys, token by token; talking heads by https://arxiv.org/abs/2003.02436,
section 3. Written from the papers.
"""
import ast
import json
import math
import pathlib
import sys
import types

import torch
import torch.nn.functional as F
from einops import rearrange

fla, ram = (pathlib.Path(p) for p in sys.argv[1:3])
T, DIM, D = 70, 12, 8
torch.set_default_dtype(torch.float64)
torch.manual_seed(6)
rounded = lambda *shape, by=1.0: torch.round(torch.randn(*shape) * by * 1e3) / 1e3
flat = lambda t: [round(v, 9) for v in t.flatten().tolist()]
heads_of = lambda x, w: (x @ w.T).view(len(x), -1, D)


def source(path, *names, inside=None):
    """Functions of a file of a checkout, with float64 for float32."""
    text = path.read_text()
    body = ast.parse(text).body
    if inside:
        body = next(n for n in body if getattr(n, "name", "") == inside).body
    scope = dict(torch=torch, math=math, F=F, rearrange=rearrange, nn=torch.nn, Optional=None, Union=None)
    for name in names:
        node = next(n for n in body if getattr(n, "name", "") == name)
        code = "\n".join(line[node.col_offset :] for line in text.split("\n")[node.lineno - 1 : node.end_lineno])
        code = code.replace("torch.float)", "torch.float64)").replace(".float()", ".double()").replace('device="cuda"', 'device="cpu"')
        exec("from __future__ import annotations\n" + code, scope)
    return types.SimpleNamespace(**{n: scope[n] for n in names})


def path_case(x, heads, groups, rank, forget=False):
    p = dict(q=rounded(heads * D, DIM, by=0.5), k=rounded(groups * D, DIM, by=0.5), v=rounded(groups * D, DIM), o=rounded(DIM, heads * D, by=0.2))
    p |= dict(taps=rounded(groups * D, 3, by=0.5), beta=rounded(groups, DIM, by=0.4), **{"beta.bias": rounded(groups)})
    p |= dict(inner=rounded(rank, DIM, by=0.4), w=rounded(groups * D, rank, by=0.5)) if rank else dict(w=rounded(groups * D, DIM, by=0.4))
    w = (x @ p["inner"].T if rank else x) @ p["w"].T
    w = F.silu(F.conv1d(F.pad(w.T[None], (2, 0)), p["taps"][:, None], groups=groups * D)[0].T)  # ShortConvolution
    w = w.view(T, groups, D)
    w = w * torch.rsqrt((w * w).sum(-1, keepdim=True) + 1e-6)  # l2_norm
    beta = (x @ p["beta"].T + p["beta.bias"]).sigmoid() * 2
    p |= dict(forget=rounded(heads, DIM, by=0.4), **{"forget.bias": 2 + rounded(heads)}) if forget else {}
    gate = F.logsigmoid(x @ p["forget"].T + p["forget.bias"]) if forget else torch.zeros(T, heads)
    naive = source(fla / "fla/ops/path_attn/naive.py", "naive_path_attn").naive_path_attn
    batch = [t[None] for t in (heads_of(x, p["q"]), heads_of(x, p["k"]), heads_of(x, p["v"]), w, beta, gate)]
    out = naive(*batch, D**-0.5, chunk_size=16)[0]
    return dict(name="path", config=dict(heads=heads, kvHeads=groups, headDim=D, **(dict(rank=rank) if rank else {}), **(dict(forget=True) if forget else {})), weights=p, out=out.reshape(T, -1) @ p["o"].T)


def castle_case(x, heads):
    names = ["q", "k", "v", "lookahead.q", "lookahead.k", "lookahead.v"]
    p = {n: rounded(heads * D, DIM, by=0.5) for n in names} | dict(o=rounded(DIM, heads * D, by=0.2))
    q, k, v, qu, ku, vu = (heads_of(x, p[n]) for n in names)
    out = torch.zeros(T, heads, D)
    for h in range(heads):
        u = torch.zeros(T, D)
        for t in range(T):
            for s in range(t):  # later tokens write into earlier ones
                u[s] += torch.sigmoid(qu[s, h] @ ku[t, h] / math.sqrt(D)) * vu[t, h]
            scores = k[: t + 1, h] @ q[t, h] / math.sqrt(D) - F.silu(u[: t + 1] @ q[t, h] / math.sqrt(D))
            out[t, h] = scores.softmax(0) @ v[: t + 1, h]
    return dict(name="castle", config=dict(heads=heads, headDim=D), weights=p, out=out.reshape(T, -1) @ p["o"].T)


def talking_case(x, logit_heads, heads, value_heads):
    p = dict(q=rounded(logit_heads * D, DIM, by=0.5), k=rounded(logit_heads * D, DIM, by=0.5), v=rounded(value_heads * D, DIM), o=rounded(DIM, value_heads * D, by=0.2))
    p |= dict(before=rounded(heads, logit_heads, by=0.7), after=rounded(value_heads, heads, by=0.7))
    q, k, v = (heads_of(x, p[n]) for n in "qkv")
    logits = torch.einsum("nhd,mhd->nmh", q, k) / math.sqrt(D)  # J
    logits = torch.einsum("nmh,gh->nmg", logits, p["before"])  # L
    seen = torch.ones(T, T).tril().bool()
    weights = logits.masked_fill(~seen[:, :, None], -math.inf).softmax(1)
    weights = torch.einsum("nmg,vg->nmv", weights, p["after"])  # U
    out = torch.einsum("nmv,mvd->nvd", weights, v)
    config = dict(logitHeads=logit_heads, heads=heads, valueHeads=value_heads, headDim=D)
    return dict(name="talking-heads", config=config, weights=p, out=out.reshape(T, -1) @ p["o"].T)


def mta_case(x, heads, groups, query_taps, key_taps, head_group, mix, norm):
    p = dict(q=rounded(heads * D, DIM, by=0.5), k=rounded(groups * D, DIM, by=0.5), v=rounded(groups * D, DIM), o=rounded(DIM, heads * D, by=0.2))
    p |= dict(taps=rounded(heads, query_taps, key_taps, by=0.3)) if query_taps else {}
    p |= dict(before=rounded(heads, heads, by=0.6)) if mix else {}
    p |= dict(after=rounded(heads // head_group, head_group, head_group, by=0.6)) if head_group else {}
    p |= dict(norm=1 + rounded(D, by=0.2), gate=rounded(1, D, by=0.4), **{"gate.bias": rounded(1)}) if norm else {}
    own = source(ram / "projects/mta/mta_transformer.py", "forward", "_update_mask", "_mta_convolution", "_head_convolution", "normalize_attention", inside="Attention")
    own.forward.__globals__["apply_rotary_emb"] = lambda q, k, axis, f: (q, k)
    own.forward.__globals__["repeat_kv"] = lambda t, n, dim: t.repeat_interleave(n, dim)
    root_mean = lambda t: t * torch.rsqrt(t.pow(2).mean(-1, keepdim=True) + 1e-5) * p["norm"]
    linear = lambda w, b=None: lambda t: F.linear(t, w, b)
    self = types.SimpleNamespace(n_heads=heads, n_kv_heads=groups, head_dim=D, heads_per_group=heads // groups, use_mta=True, pad_key="both", dropout=0.0, training=False)
    self.__dict__.update(wq=linear(p["q"]), wk=linear(p["k"]), wv=linear(p["v"]), wo=linear(p["o"]), cache_attention_maps=False, mta_kernel_after_sm=None, post_sm_linear_head=False)
    self.__dict__.update(mta_kernel=p["taps"][:, None] if query_taps else None, pre_sm_linear_head=mix, wpsm=linear(p["before"]) if mix else None)
    self.__dict__.update(head_kernel_size=head_group, head_kernel=p.get("after"), group_norm=norm, subln=root_mean, add_gating=norm, gate=linear(p["gate"], p["gate.bias"]) if norm else None)
    for name in ("_update_mask", "_mta_convolution", "_head_convolution", "normalize_attention"):
        setattr(self, name, types.MethodType(getattr(own, name), self))
    out = own.forward(self, x[None], torch.zeros(T))[0]
    config = dict(heads=heads, kvHeads=groups, headDim=D, **(dict(queryTaps=query_taps, keyTaps=key_taps) if query_taps else {}))
    config |= (dict(mixLogits=True) if mix else {}) | (dict(headGroup=head_group) if head_group else {}) | (dict(norm=True, gate=True) if norm else {})
    return dict(name="mta", config=config, weights=p, out=out)


x = rounded(T, DIM)
cases = [path_case(x, 4, 2, None), path_case(x, 2, 2, 5), castle_case(x, 2), talking_case(x, 3, 4, 2)]
cases += [mta_case(x, 4, 2, 3, 5, 2, True, True), mta_case(x, 2, 2, 2, 3, None, False, False)]
cases += [path_case(x, 4, 2, None, True)]
for c in cases:
    c["weights"] = {n: flat(w) for n, w in c["weights"].items()}
    c["out"] = flat(c["out"])
path = pathlib.Path(__file__).parents[2] / "packages/attention-mixing/test/oracle.json"
json.dump(dict(tokens=T, dim=DIM, x=flat(x), cases=cases), open(path, "w"))
