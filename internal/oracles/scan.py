"""Writes packages/ops/oracles/scan.json: outputs and final states of the linear recurrences as their authors write them down.

By hand: python internal/oracles/scan.py FLA MAMBA, with checkouts of
  github.com/fla-org/flash-linear-attention  commit bc3b101dcb713ddc5bd8924b66754eb68b5ccf89  fla/ops/*/naive.py
  github.com/state-spaces/mamba              commit e9594ce1c732d97440f0332fdc43170a2294dbfa  mamba_ssm/modules/ssd_minimal.py
Their functions are run as they are, but in float64. Operands are hashes of their index (see `values`), the same in
packages/ops/test/scan-oracle.ts: only results are stored, float32 in base64.
"""
import base64
import json
import pathlib
import sys
import types

import numpy as np
import torch

F64 = torch.float64
fla, mamba = (pathlib.Path(p) for p in sys.argv[1:3])


def load(path):
    """A module of the checkout with float64 for float32."""
    text = path.read_text()
    for old, new in [('.float()', '.double()'), ('torch.float32', 'torch.float64'), ('torch.float)', 'torch.float64)'), ('dtype=torch.float,', 'dtype=torch.float64,')]:
        text = text.replace(old, new)
    text = text.replace('from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined', '')
    module = types.ModuleType(path.parent.name)
    exec(compile(text, str(path), 'exec'), module.__dict__)
    return module


def values(shape, seed):
    """Multiples of 1/512 in [-1, 1): exact in float32."""
    n = int(np.prod(shape))
    x = ((np.arange(1, n + 1, dtype=np.uint64) + np.uint64(seed * 7919)) * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(15)
    x = (x * np.uint64(2246822519)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(13)
    return torch.tensor((((x >> np.uint64(8)) % np.uint64(1024)).astype(np.float64) / 512 - 1).reshape(shape))


def run(c):
    """out (N, H, dV) and state (B, P, dK, dV) of a case, row by row."""
    n, p, dk, dv = c['offsets'][-1], c['states'], c['dK'], c['dV']
    rows = len(c['offsets']) - 1
    # Keys are half as long as in `values`, so that the delta rule stays bounded.
    q, k, v = values((n, c['q'], dk), c['seed']), values((n, c['k'], dk), c['seed'] + 1) / 2, values((n, c['v'], dv), c['seed'] + 2)
    initial = values((rows, p, dk, dv), c['seed'] + 3) if c['initial'] else torch.zeros(rows, p, dk, dv, dtype=F64)
    g = None
    if c['decay'] == 'channel':
        g = (values((n, p, dk), c['seed'] + 4) - 1) / 2
    elif c['decay'] == 'head':
        g = (values((n, p), c['seed'] + 4) - 1) / 2
    elif c['decay'] == 'fixed':
        g = torch.tensor(c['slopes'], dtype=F64).expand(n, p)
    beta = (values((n, p), c['seed'] + 5) + 1) / 2 if c['rule'] == 'delta' else None
    outs, states = [], []
    for b in range(rows):
        cut = lambda x: None if x is None else x[None, c['offsets'][b] : c['offsets'][b + 1]]
        o, s = forms[c['form']](cut(q), cut(k), cut(v), cut(g), cut(beta), initial[b : b + 1])
        outs.append(o[0])
        states.append(s[0] if s is not None else None)
    return torch.cat(outs), None if states[0] is None else torch.stack(states)


linear, simple, gla, kda = (load(fla / 'fla/ops' / d / 'naive.py') for d in ('linear_attn', 'simple_gla', 'gla', 'kda'))
delta, gated, retention = (load(fla / 'fla/ops' / d / 'naive.py') for d in ('delta_rule', 'gated_delta_rule', 'retention'))
ssd = load(mamba / 'mamba_ssm/modules/ssd_minimal.py')
lead = lambda x: x.transpose(1, 2)


def ssd_minimal(q, k, v, g, beta, initial):
    """Its names: X = v (already times dt), A = log decay, B = k, C = q; groups repeated per head as its callers do; state (…, dV, dK)."""
    heads = v.shape[2]
    k, q = (x.repeat_interleave(heads // x.shape[2], 2) for x in (k, q))
    o, s = ssd.ssd_minimal_discrete(v, g, k, q, 4, initial.transpose(2, 3)[:, None])
    return o, s.transpose(2, 3)


forms = {
    'linear': lambda q, k, v, g, beta, s: linear.naive_recurrent_linear_attn(q, k, v, None, s, True),
    'retention': lambda q, k, v, g, beta, s: (lead(retention.naive_retention(lead(q), lead(k), lead(v))), None),
    'simple_gla': lambda q, k, v, g, beta, s: simple.naive_recurrent_simple_gla(q, k, v, g, None, s, True),
    'simple_gla chunk': lambda q, k, v, g, beta, s: simple.naive_chunk_simple_gla(q, k, v, g, s, True, 8),
    'gla': lambda q, k, v, g, beta, s: gla.naive_recurrent_gla(q, k, v, g, s, True),
    'delta_rule': lambda q, k, v, g, beta, s: (lambda o, t: (lead(o), t))(*delta.delta_rule_recurrence(lead(q), lead(k), lead(v), lead(beta), s)),
    'gated_delta_rule': lambda q, k, v, g, beta, s: gated.naive_recurrent_gated_delta_rule(q, k, v, beta, g, None, s, True),
    'gated_delta_rule chunk': lambda q, k, v, g, beta, s: gated.naive_chunk_gated_delta_rule(q, k, v, g, beta, 8, None, s, True),
    'kda': lambda q, k, v, g, beta, s: kda.naive_recurrent_kda(q, k, v, g, beta, None, s, True),
    'mamba2 ssd': ssd_minimal,
}
plain = {'q': 2, 'k': 2, 'v': 2, 'states': 2, 'dK': 8, 'dV': 6, 'rule': 'add', 'decay': 'none', 'initial': True, 'offsets': [0, 9, 20]}
slopes = [float(x) for x in np.log1p(-(2.0 ** (-5 - np.arange(2))))]
cases = [
    {**plain, 'form': 'linear'},
    {**plain, 'form': 'retention', 'decay': 'fixed', 'slopes': slopes, 'initial': False},
    # Lightning attention: a slope per head, 2^(-8 (h + 1) / heads), as MiniMax builds it.
    {**plain, 'form': 'simple_gla', 'decay': 'fixed', 'slopes': [-(2.0**-4), -(2.0**-8)]},
    {**plain, 'form': 'simple_gla', 'decay': 'head'},
    # Its loop rounds the length down to whole chunks.
    {**plain, 'form': 'simple_gla chunk', 'decay': 'head', 'offsets': [0, 16, 24]},
    {**plain, 'form': 'gla', 'decay': 'channel'},
    {**plain, 'form': 'delta_rule', 'rule': 'delta'},
    {**plain, 'form': 'gated_delta_rule', 'rule': 'delta', 'decay': 'head'},
    {**plain, 'form': 'gated_delta_rule chunk', 'rule': 'delta', 'decay': 'head', 'offsets': [0, 19]},
    {**plain, 'form': 'kda', 'rule': 'delta', 'decay': 'channel', 'v': 4, 'states': 4},
    {**plain, 'form': 'mamba2 ssd', 'decay': 'head', 'v': 4, 'states': 4, 'offsets': [0, 12, 20], 'scale': 1},
]
pack = lambda x: base64.b64encode(x.detach().numpy().astype('<f4').tobytes()).decode()
lines = []
for i, c in enumerate(cases):
    c = {**c, 'seed': 10 * i + 1, 'scale': c.get('scale', c['dK'] ** -0.5)}
    out, state = run(c)
    lines.append(json.dumps({**c, 'out': pack(out), **({} if state is None else {'state': pack(state)})}, separators=(',', ':')))
target = pathlib.Path(__file__).parents[2] / 'packages/ops/oracles/scan.json'
target.write_text('[\n' + ',\n'.join(lines) + '\n]\n')
