"""Writes packages/attention-linear/oracles/layers.json: outputs of linear attention layers as their authors compute them, in float64.

By hand: python internal/oracles/linear-attention.py FLA LOLCATS, with transformers 5.23 installed and checkouts of
  github.com/fla-org/flash-linear-attention  commit bc3b101dcb713ddc5bd8924b66754eb68b5ccf89
  github.com/HazyResearch/lolcats            commit 375df84f58417a57b78c875fa3f8fa76e84ab12e
mamba2, gated-deltanet and lightning are transformers' modules. gla, deltanet and linear follow fla/layers/{gla,delta_rule,linear_attn}.py
around its own naive ops (its layers call Triton kernels). lolcats runs the authors' attention and feature map functions.
Parameters and inputs are hashes of their index (see `values`), the same in packages/attention-linear/test/oracle.ts.
"""
import base64
import json
import math
import pathlib
import sys
import types

import numpy as np
import torch
import torch.nn.functional as F
from transformers import Mamba2Config, MiniMaxConfig, Qwen3NextConfig
from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer
from transformers.models.minimax.modeling_minimax import MiniMaxLightningAttention
from transformers.models.qwen3_next.modeling_qwen3_next import Qwen3NextGatedDeltaNet

torch.set_default_dtype(torch.float64)
fla, authors = (pathlib.Path(p) for p in sys.argv[1:3])
T = 21


def load(path, between=None):
    """A module of a checkout, or a part of it, with float64 for float32."""
    text = path.read_text()
    if between:
        text = 'import torch\n' + text[text.index(between[0]) : text.index(between[1])]
    for old in ('.float()', 'torch.float32', 'torch.float)'):
        text = text.replace(old, {'.float()': '.double()', 'torch.float32': 'torch.float64', 'torch.float)': 'torch.float64)'}[old])
    module = types.ModuleType(path.stem)
    exec(compile(text, str(path), 'exec'), module.__dict__)
    return module


def values(shape, seed, scale=1.0, shift=0.0):
    n = int(np.prod(shape))
    x = ((np.arange(1, n + 1, dtype=np.uint64) + np.uint64(seed * 7919)) * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(15)
    x = (x * np.uint64(2246822519)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(13)
    unit = ((x >> np.uint64(8)) % np.uint64(1024)).astype(np.float64) / 512 - 1
    # As float32 holds them.
    return torch.tensor((shift + scale * unit).astype(np.float32).astype(np.float64).reshape(shape))


class Parameters:
    """Makes parameters by our paths and remembers how."""

    def __init__(self, seed):
        self.seed, self.made = seed, {}

    def __call__(self, path, shape, scale=None, shift=0.0):
        self.seed += 1
        scale = 1.5 / math.sqrt(shape[-1]) if scale is None else scale
        self.made[path] = {'shape': list(shape), 'seed': self.seed, 'scale': scale, 'shift': shift}
        return values(shape, self.seed, scale, shift)


def gates(p, heads):
    return p('aLog', [heads], 0.5), p('dtBias', [heads], 1.0, -1.0)


def mamba2(c, p, x):
    inner, shared, dim = c['heads'] * c['headDim'], c['groups'] * c['stateDim'], c['dim']
    limit = (c.get('dtMin', 0.0), c.get('dtMax', float('inf')))
    module = Mamba2Mixer(
        Mamba2Config(
            hidden_size=dim, num_heads=c['heads'], head_dim=c['headDim'], n_groups=c['groups'], state_size=c['stateDim'],
            expand=inner // dim, conv_kernel=c.get('taps', 4), use_conv_bias=c.get('convBias', True), use_bias=c.get('bias', False),
            time_step_limit=limit, chunk_size=8, layer_norm_epsilon=c['eps'], num_hidden_layers=1,
        ),
        0,
    ).double().eval()
    sizes = {'gate': inner, 'x': inner, 'b': shared, 'c': shared, 'dt': c['heads']}
    module.in_proj.weight.data = torch.cat([p(name, [n, dim]) for name, n in sizes.items()])
    if c.get('bias'):
        module.in_proj.bias.data = torch.cat([p(f'{name}:bias', [n], 0.2) for name, n in sizes.items()])
        module.out_proj.bias.data = p('o:bias', [dim], 0.2)
    conv = {'xConv': inner, 'bConv': shared, 'cConv': shared}
    module.conv1d.weight.data = torch.cat([p(f'{name}.taps', [n, c.get('taps', 4)]) for name, n in conv.items()]).unsqueeze(1)
    if c.get('convBias', True):
        module.conv1d.bias.data = torch.cat([p(f'{name}.bias', [n], 0.2) for name, n in conv.items()])
    module.A_log.data, module.dt_bias.data = gates(p, c['heads'])
    module.D.data = p('d', [c['heads']], 0.5, 1.0)
    module.norm.weight.data = p('norm', [inner], 0.2, 1.0)
    module.out_proj.weight.data = p('o', [dim, inner])
    return module(x)


def gated_deltanet(c, p, x):
    hk, hv, dk, dv, dim = (c[k] for k in ('keyHeads', 'valueHeads', 'keyDim', 'valueDim', 'dim'))
    module = Qwen3NextGatedDeltaNet(
        Qwen3NextConfig(
            hidden_size=dim, linear_num_key_heads=hk, linear_num_value_heads=hv, linear_key_head_dim=dk, linear_value_head_dim=dv,
            linear_conv_kernel_dim=c.get('taps', 4), rms_norm_eps=c['eps'], num_hidden_layers=1, layer_types=['linear_attention'],
        ),
        0,
    ).double().eval()
    r = hv // hk
    q, k, v, gate = (p(name, [n, dim]) for name, n in (('q', hk * dk), ('k', hk * dk), ('v', hv * dv), ('gate', hv * dv)))
    b, a = p('b', [hv, dim]), p('a', [hv, dim])
    parts = [q.view(hk, dk, dim), k.view(hk, dk, dim), v.view(hk, r * dv, dim), gate.view(hk, r * dv, dim)]
    module.in_proj_qkvz.weight.data = torch.cat(parts, 1).reshape(-1, dim)
    module.in_proj_ba.weight.data = torch.cat([b.view(hk, r, dim), a.view(hk, r, dim)], 1).reshape(-1, dim)
    conv = {'qConv': hk * dk, 'kConv': hk * dk, 'vConv': hv * dv}
    module.conv1d.weight.data = torch.cat([p(f'{name}.taps', [n, c.get('taps', 4)]) for name, n in conv.items()]).unsqueeze(1)
    module.A_log.data, module.dt_bias.data = gates(p, hv)
    module.norm.weight.data = p('norm', [dv], 0.2, 1.0)
    module.out_proj.weight.data = p('o', [dim, hv * dv])
    return module(x)


def lightning(c, p, x):
    h, d, dim = c['heads'], c['headDim'], c['dim']
    module = MiniMaxLightningAttention(
        MiniMaxConfig(
            hidden_size=dim, num_attention_heads=h, num_key_value_heads=h, head_dim=d, block_size=8,
            num_hidden_layers=c['layers'], layer_types=['linear_attention'] * c['layers'],
        ),
        c['layer'],
    ).double().eval()
    q, k, v = (p(name, [h * d, dim]).view(h, d, dim) for name in 'qkv')
    module.qkv_proj.weight.data = torch.cat([q, k, v], 1).reshape(-1, dim)
    module.output_gate.weight.data = p('gate', [h * d, dim])
    module.norm.weight.data = p('norm', [h * d], 0.2, 1.0)
    module.out_proj.weight.data = p('o', [dim, h * d])
    # Its slopes are float32 buffers: made again in float64.
    module.slope_rate = module.get_slope_rate().double()
    module.query_decay, module.key_decay, module.diagonal_decay = module.decay_factors(module.slope_rate)
    c['slopes'] = module.slope_rate.flatten().tolist()
    return module(x, None, None)[0]


heads_of = lambda y, h: y.view(1, T, h, -1)
norm = lambda y, w, eps: y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + eps) * w
conv = lambda y, w: F.silu(F.conv1d(F.pad(y.transpose(1, 2), (w.shape[1] - 1, 0)), w[:, None], groups=w.shape[0])).transpose(1, 2)
naive = lambda name: load(fla / 'fla/ops' / name / 'naive.py')


def gla(c, p, x):
    h, dk, dv, dim = c['heads'], c['keyDim'], c['valueDim'], c['dim']
    q, k, v, gate = (x @ p(name, [h * d, dim]).T for name, d in (('q', dk), ('k', dk), ('v', dv), ('gate', dv)))
    down, up = p('decayDown', [c['gateRank'], dim]), p('decayUp', [h * dk, c['gateRank']])
    gk = F.logsigmoid(x @ down.T @ up.T + p('decayUp:bias', [h * dk], 0.5)) / 16
    o, _ = naive('gla').naive_recurrent_gla(*(heads_of(y, h) for y in (q, k, v, gk)))
    o = norm(o, p('norm', [dv], 0.2, 1.0), c['eps']) * F.silu(heads_of(gate, h))
    return o.reshape(1, T, h * dv) @ p('o', [dim, h * dv]).T


def deltanet(c, p, x):
    h, dk, dv, dim = c['heads'], c['keyDim'], c['valueDim'], c['dim']
    widths = {'q': h * dk, 'k': h * dk, 'v': h * dv}
    q, k, v = (conv(x @ p(name, [n, dim]).T, p(f'{name}Conv.taps', [n, 4])) for name, n in widths.items())
    q, k, v = (heads_of(y, h) for y in (q, k, v))
    q, k = (y * torch.rsqrt(y.pow(2).sum(-1, keepdim=True) + 1e-6) for y in (q, k))
    beta = (x @ p('b', [h, dim]).T).sigmoid()
    o, _ = naive('delta_rule').delta_rule_recurrence(*(y.transpose(1, 2) for y in (q, k, v, beta)))
    o = norm(o.transpose(1, 2), p('norm', [dv], 0.2, 1.0), c['eps'])
    return o.reshape(1, T, h * dv) @ p('o', [dim, h * dv]).T


def linear(c, p, x):
    h, kv, d, dim = c['heads'], c.get('kvHeads', c['heads']), c['headDim'], c['dim']
    q, k, v = (heads_of(x @ p(name, [n * d, dim]).T, n) for name, n in (('q', h), ('k', kv), ('v', kv)))
    k, v = (y.repeat_interleave(h // kv, 2) for y in (k, v))
    q, k = (1 + F.elu(y) for y in (q, k))
    o, _ = naive('linear_attn').naive_recurrent_linear_attn(q, k, v, normalize=True)
    return o.reshape(1, T, h * d) @ p('o', [dim, h * d]).T


def lolcats(c, p, x):
    h, kv, d, dim, f = c['heads'], c['kvHeads'], c['headDim'], c['dim'], c['featureDim']
    hybrid = load(authors / 'src/model/linear_attention/linear_window_attention_sw.py', ('def get_masks', '# ---------------------\n# Attention layer'))
    maps = load(authors / 'src/model/feature_map.py')
    q, k, v = (heads_of(x @ p(name, [n * d, dim]).T, n).transpose(1, 2) for name, n in (('q', h), ('k', kv), ('v', kv)))
    k, v = (y.repeat_interleave(h // kv, 1) for y in (k, v))

    def feature_map(name):
        mlp = maps.init_learned_kernel('untied_head_einsum', num_heads=h, head_dim=d, feature_dim=f, dtype=torch.float64, device='cpu')
        mlp.layer.data = p(name, [h, d, f])
        return maps.init_feature_map('softmax_dim', mlp)

    f_q, f_k = feature_map('qFeatures')(q), feature_map('kFeatures')(k)
    factor = p('windowFactor', [h]).sigmoid().view(1, h, 1, 1)
    o, _ = hybrid.hybrid_attention_quadratic(q, k, f_q, f_k, v, factor, 1, window_size=c['window'])
    return o.transpose(1, 2).reshape(1, T, h * d) @ p('o', [dim, h * d]).T


layers = {'mamba2': mamba2, 'gated-deltanet': gated_deltanet, 'lightning': lightning, 'gla': gla, 'deltanet': deltanet, 'linear': linear, 'lolcats': lolcats}
small = {'dim': 16, 'heads': 4, 'headDim': 8, 'groups': 2, 'stateDim': 6, 'eps': 1e-5}
cases = [
    ('mamba2', small),
    ('mamba2', {**small, 'groups': 1, 'convBias': False, 'bias': True, 'taps': 3, 'dtMin': 0.1, 'dtMax': 0.4}),
    ('gated-deltanet', {'dim': 16, 'keyHeads': 2, 'valueHeads': 4, 'keyDim': 8, 'valueDim': 6, 'eps': 1e-6}),
    ('lightning', {'dim': 16, 'heads': 4, 'headDim': 8, 'layer': 1, 'layers': 4}),
    ('gla', {'dim': 16, 'heads': 2, 'keyDim': 4, 'valueDim': 8, 'gateRank': 5, 'eps': 1e-5}),
    ('deltanet', {'dim': 16, 'heads': 2, 'keyDim': 8, 'valueDim': 6, 'eps': 1e-5}),
    ('linear', {'dim': 16, 'heads': 4, 'kvHeads': 2, 'headDim': 8}),
    ('lolcats', {'dim': 16, 'heads': 4, 'kvHeads': 2, 'headDim': 8, 'window': 5, 'featureDim': 6}),
]
lines = []
with torch.no_grad():
    for i, (variant, config) in enumerate(cases):
        config, p = dict(config), Parameters(100 * i)
        x = values([T, config['dim']], 100 * i)
        out = layers[variant](config, p, x[None])[0]
        assert out.shape == (T, config['dim']) and out.isfinite().all()
        text = base64.b64encode(out.numpy().astype('<f4').tobytes()).decode()
        lines.append(json.dumps({'variant': variant, 'config': config, 'tokens': T, 'seed': 100 * i, 'params': p.made, 'out': text}, separators=(',', ':')))
target = pathlib.Path(__file__).parents[2] / 'packages/attention-linear/oracles/layers.json'
target.parent.mkdir(exist_ok=True)
target.write_text('[\n' + ',\n'.join(lines) + '\n]\n')
