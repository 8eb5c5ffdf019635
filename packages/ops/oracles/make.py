"""Writes oracles/attend.json and oracles/linear.json with PyTorch and transformers. By hand: python oracles/make.py

Attention by its definition, token by token in float64, differentiated by autograd; the plain cases are checked against PyTorch's own
scaled_dot_product_attention. Operands are hashes of their index (see `values`), the same in test/attend-oracle.ts: only results are stored.
"""
import base64
import json
import pathlib

import numpy as np
import torch
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb
from transformers.models.t5.modeling_t5 import T5Attention

F64 = torch.float64


def values(shape, seed):
    """Multiples of 1/512 in [-1, 1): exact in float16 and float32."""
    n = int(np.prod(shape))
    x = ((np.arange(1, n + 1, dtype=np.uint64) + np.uint64(seed * 7919)) * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(15)
    x = (x * np.uint64(2246822519)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(13)
    return torch.tensor((((x >> np.uint64(8)) % np.uint64(1024)).astype(np.float64) / 512 - 1).reshape(shape))


def packed(x):
    """Q8_0 of ggml: half scale amax / 127, then 32 signed bytes; the bytes and what they stand for."""
    blocks = x.numpy().astype(np.float32).reshape(-1, 32)
    scale = np.abs(blocks).max(1, keepdims=True) / np.float32(127)
    inverse = np.where(scale > 0, 1 / np.where(scale > 0, scale, 1), 0).astype(np.float32)
    half = scale.astype(np.float16)
    scaled = blocks * inverse
    quants = (np.sign(scaled) * np.floor(np.abs(scaled) + 0.5)).astype(np.int8)
    raw = np.concatenate([half.view(np.uint8), quants.view(np.uint8)], 1)
    return raw.tobytes(), torch.tensor((quants.astype(np.float64) * half.astype(np.float64)).reshape(x.shape))


def rotated(k, position, frequencies, pairing):
    """One key, turned by transformers' function (half) or by complex numbers (interleaved); angles are rounded to float32 as there."""
    f = len(frequencies)
    angle = (np.float32(position) * frequencies.astype(np.float32)).astype(np.float64)
    cos, sin = torch.tensor(np.cos(angle)), torch.tensor(np.sin(angle))
    turning, rest = k[: 2 * f], k[2 * f :]
    if pairing == 'half':
        c, s = (torch.cat([t, t])[None, None] for t in (cos, sin))
        x = turning[None, None, None]
        turning = apply_rotary_pos_emb(x, x, c, s)[0][0, 0, 0]
    else:
        turning = torch.view_as_real(torch.view_as_complex(turning.reshape(f, 2)) * torch.complex(cos, sin)).reshape(2 * f)
    return torch.cat([turning, rest])


def attend(c, q, k, v, sink, tables):
    """out (N, H, dV), lse (N, H), mass (B, nK, S) of a case, by the definition."""
    offsets, lengths, rows = c['offsets'], c['lengths'], c['qRow']
    out = torch.zeros(len(rows), c['heads'], v.shape[3], dtype=F64)
    lse = torch.full((len(rows), c['heads']), -3.4e38, dtype=F64)
    mass = torch.zeros(len(lengths), len(lengths[0]), c['slots'], dtype=F64)
    for b in range(len(lengths)):
        for n in range(offsets[b], offsets[b + 1]):
            for h in range(c['heads']):
                kh, vh = c['keyHeads'][h], c['valueHeads'][h]
                row, at = rows[n], c.get('qPosition', rows)[n]
                scores, seen = [], []
                for slot in range(lengths[b][kh]):
                    if 'blocks' in c and slot // c['block'] not in c['blocks'][n][kh][: c['blockCounts'][n][kh]]:
                        continue
                    k_row = c['kRow'][b][kh][slot] if 'kRow' in c else slot
                    k_at = c['kPosition'][b][kh][slot] if 'kPosition' in c else k_row
                    if not visible(c['mask'], row, k_row):
                        continue
                    where = (c['pages'][b][slot // c['page']], slot % c['page']) if 'pages' in c else (b, slot)
                    key = k[where[0], kh, where[1]]
                    if 'rotate' in c:
                        key = rotated(key, k_at, np.array(c['rotate']), c['pairing'])
                    s = (q[n, h] * key).sum() * c.get('scale', q.shape[2] ** -0.5)
                    scores.append(scored(c['score'], tables, s, h, row - k_row, at - k_at))
                    seen.append((where, slot))
                if c['weigh'] == 'sigmoid':
                    weights = torch.sigmoid(torch.stack(scores)) if scores else torch.zeros(0, dtype=F64)
                else:
                    all_scores = scores + ([sink[h]] if sink is not None else [])
                    if not all_scores:
                        continue
                    weights = torch.softmax(torch.stack(all_scores), 0)[: len(scores)]
                    lse[n, h] = torch.logsumexp(torch.stack(all_scores), 0)
                for w, (where, slot) in zip(weights, seen):
                    out[n, h] = out[n, h] + w * v[where[0], vh, where[1]]
                    mass[b, kh, slot] = mass[b, kh, slot] + w
    return out, lse, mass


def visible(mask, row, k_row):
    if mask.get('causal') and k_row > row:
        return False
    if 'window' in mask and row - k_row >= mask['window'] and k_row >= mask.get('sinks', 0):
        return False
    if 'after' in mask and k_row < mask['after']:
        return False
    return 'documents' not in mask or mask['documents'][row] == mask['documents'][k_row]


def scored(steps, tables, s, h, distance, position_distance):
    for step, value in steps:
        if step == 'alibi':
            s = s - position_distance * tables['slopes'][h]
        elif step == 'softcap':
            s = value * torch.tanh(s / value)
        elif step == 't5':
            s = s + tables['bias'][h, value[distance]]
    return s


def t5_buckets(n):
    """Bucket of each distance as transformers' T5 decoder counts them."""
    relative = -torch.arange(n)
    return T5Attention._relative_position_bucket(relative, bidirectional=False, num_buckets=8, max_distance=24).tolist()


def case(name, tokens, past, heads=4, keys=None, values_=None, d=8, dv=None, slots=None, seed=1, score=(), mask=None, **more):
    rows = [past[b] + i for b, t in enumerate(tokens) for i in range(t)]
    n_keys = max(more.get('keyHeads', [keys if keys is not None else heads - 1]) + [0]) + 1 if 'keyHeads' in more else (keys or heads)
    n_values = max(more['valueHeads']) + 1 if 'valueHeads' in more else (values_ or n_keys)
    c = {
        'name': name, 'heads': heads, 'nK': n_keys, 'nV': n_values, 'd': d, 'dV': dv or d, 'seed': seed,
        'offsets': np.cumsum([0, *tokens]).tolist(), 'qRow': rows, 'weigh': 'softmax', 'dtype': 'f32',
        'lengths': [[p + t] * n_keys for p, t in zip(past, tokens)],
        'keyHeads': [h * n_keys // heads for h in range(heads)], 'valueHeads': [h * n_values // heads for h in range(heads)],
        'score': list(score), 'mask': {'causal': True} if mask is None else mask,
        **more,
    }  # fmt: skip
    c['slots'] = slots or max(max(x) for x in c['lengths']) + 3
    if 'pages' in c:
        c['slots'] = len(c['pages'][0]) * c['page']
    return c


def shuffle(c, holes=False):
    """Slots in another order; with holes, as after an eviction: rows are missing and positions are not rows."""
    rng = np.random.default_rng(5)
    c['kRow'] = [[[*rng.choice(max(r) + 1 if holes else n, n, replace=False).tolist()] for n in r] for r in c['lengths']]
    if holes:
        c['kPosition'] = [[[2 * x + 1 for x in head] for head in r] for r in c['kRow']]
        c['qPosition'] = [2 * x + 1 for x in c['qRow']]
    return c


SLOPES = [0.5, 0.25, 0.125, 0.0625]
DOCUMENTS = [i // 4 for i in range(40)]
TURN = (10000.0 ** -(np.arange(4) / 4)).astype(np.float32).tolist()

CASES = [
    case('causal', [10], [0]),
    case('full', [6], [3], mask={}, lse=True),
    case('causal after a past, grouped heads', [5], [9], keys=2, lse=True, grads=True),
    case('window and sinks', [9], [4], keys=2, mask={'causal': True, 'window': 4, 'sinks': 2}),
    case('documents', [12], [5], mask={'causal': True, 'documents': DOCUMENTS}),
    case('alibi', [5], [9], score=[('alibi', 0)], slopes=SLOPES),
    case('soft-cap', [5], [9], score=[('softcap', 0.5)], scale=1.5, grads=True),
    case('alibi, soft-cap and a T5 bias in one layer', [6], [6], keys=2, lse=True, grads=True, slopes=SLOPES, buckets=t5_buckets(16),
         score=[('alibi', 0), ('softcap', 0.75), ('t5', t5_buckets(16))]),
    case('uneven heads', [4], [5], heads=5, d=8, dv=12, keyHeads=[0, 1, 0, 1, 1], valueHeads=[2, 0, 1, 1, 2], grads=True),
    case('more key heads than value heads', [4], [5], heads=4, keyHeads=[0, 1, 2, 3], valueHeads=[0, 0, 1, 1]),
    case('learned sink', [5], [3], keys=2, sink=True, lse=True, grads=True),
    case('queries that see nothing', [7], [0], mask={'causal': True, 'after': 3}, lse=True, grads=True),
    case('queries that see nothing but the sink', [7], [0], mask={'causal': True, 'after': 3}, sink=True, lse=True),
    case('sigmoid', [6], [4], keys=2, weigh='sigmoid', grads=True),
    case('summed weights', [6, 1], [2, 9], keys=2, sink=True, lse=True, mass=True),
    case('summed weights of sigmoid', [5], [5], keys=2, weigh='sigmoid', mass=True),
    case('block lists', [4], [12], keys=2, block=4, lse=True, blockCounts=[[1, 2], [3, 1], [2, 2], [3, 0]],
         blocks=[[[3, 0, 1], [0, 3, 0]], [[2, 0, 3], [1, 0, 2]], [[3, 1, 2], [0, 2, 1]], [[0, 1, 3], [3, 3, 3]]]),
    case('pages', [4, 2], [5, 9], keys=2, page=4, pages=[[3, 0, 6], [1, 5, 2]], lse=True),
    case('ragged batch, one row without tokens', [4, 0, 1, 7], [3, 6, 14, 0], keys=2, lse=True, grads=True),
    shuffle(case('slots out of order', [5, 2], [6, 9], keys=2, mask={'causal': True, 'window': 6, 'sinks': 1}, lse=True)),
    shuffle(case('evicted rows: head lengths and positions of their own', [3, 2], [9, 9], keys=2, lengths=[[12, 5], [3, 11]],
                 score=[('alibi', 0)], slopes=SLOPES, mass=True), holes=True),
    case('values inside the keys', [5, 1], [4, 11], heads=4, keys=1, d=12, dv=8, shared=True, grads=True),
    case('f16', [5, 1], [4, 11], keys=2, dtype='f16', lse=True),
    case('q8_0', [5, 1], [4, 11], keys=2, d=32, dtype='q8_0', lse=True),
    case('q8_0, values inside the keys', [4], [4], keys=1, d=64, dv=32, dtype='q8_0', shared=True),
    case('keys rotated as they are read', [5], [4], keys=2, rotate=TURN, pairing='half', grads=True),
    case('keys rotated in pairs, partly, far out', [3], [4], keys=2, d=12, dv=8, rotate=TURN, pairing='interleaved', lse=True,
         kPosition=[[[131072 + 7 * i for i in range(7)]] * 2]),
    case('rotated keys in pages, with a sink', [3, 2], [5, 2], keys=2, page=4, pages=[[2, 4], [0, 5]], rotate=TURN, pairing='half',
         sink=True, lse=True, mass=True),
    case('many tokens over many slots', [67, 1], [40, 130], keys=2, dv=4, mask={'causal': True, 'window': 50, 'sinks': 3},
         score=[('alibi', 0)], slopes=[0.02, 0.01, 0.005, 0.002]),
]  # fmt: skip


def text(x):
    return base64.b64encode(np.ascontiguousarray(x.detach().numpy() if torch.is_tensor(x) else x, dtype='<f4').tobytes()).decode()


def solve(c):
    pool = 1 + max(max(p) for p in c['pages']) if 'pages' in c else len(c['lengths'])
    per = c['page'] if 'pages' in c else c['slots']
    seed = c['seed']
    q = 2 * values((len(c['qRow']), c['heads'], c['d']), seed)
    k, v = values((pool, c['nK'], per, c['d']), seed + 1), values((pool, c['nV'], per, c['dV']), seed + 2)
    result = {}
    if c['dtype'] == 'q8_0':
        raw, k = packed(k)
        result['kBytes'] = base64.b64encode(raw).decode()
        if not c.get('shared'):
            raw, v = packed(v)
            result['vBytes'] = base64.b64encode(raw).decode()
    sink = values((c['heads'],), seed + 3) if c.get('sink') else None
    tables = {'bias': values((c['heads'], 8), seed + 4) if 'buckets' in c else None, 'slopes': torch.tensor(c.get('slopes', []), dtype=F64)}
    wanted = {'q': q, 'k': k, 'v': None if c.get('shared') else v, 'sink': sink, 'bias': tables['bias'],
              'slopes': tables['slopes'] if 'slopes' in c else None}  # fmt: skip
    wanted = {name: x.requires_grad_() for name, x in wanted.items() if x is not None}
    out, lse, mass = attend(c, q, k, k[..., : c['dV']] if c.get('shared') else v, sink, tables)
    plain(c, q, k, v, out)
    result['out'] = text(out)
    if c.get('lse'):
        result['lseOut'] = text(lse)
    if c.get('mass'):
        result['massOut'] = text(mass)
    if c.pop('grads', False):
        loss = (out * values(out.shape, seed + 5)).sum()
        if c.get('lse'):
            loss = loss + (lse * values(lse.shape, seed + 6))[lse > -1e38].sum()
        grads = torch.autograd.grad(loss, list(wanted.values()))
        result['grads'] = {name: text(g) for name, g in zip(wanted, grads)}
    return {**c, **result}


def plain(c, q, k, v, out):
    """Cases that PyTorch has a function for agree with it."""
    if c['score'] or c['mask'] not in ({}, {'causal': True}) or len(c['lengths']) > 1 or c['dtype'] != 'f32' or c['weigh'] != 'softmax':
        return
    if any(x in c for x in ('sink', 'blocks', 'pages', 'rotate', 'shared', 'kRow')):
        return
    used = c['lengths'][0][0]
    rows, keys = torch.tensor(c['qRow']), torch.arange(used)
    mask = keys[None] <= rows[:, None] if c['mask'] else None
    want = torch.nn.functional.scaled_dot_product_attention(
        q.permute(1, 0, 2), k[0, c['keyHeads'], :used], v[0, c['valueHeads'], :used], attn_mask=mask, scale=c.get('scale')
    )
    torch.testing.assert_close(out, want.permute(1, 0, 2))
    print('agrees with scaled_dot_product_attention:', c['name'])


def linear_case(dtype, bias):
    """torch.nn.functional.linear and the gradients of the sum of r y squared."""
    x, w = values((2, 3, 64), 1).requires_grad_(), values((6, 64), 2)
    b = values((6,), 3).requires_grad_() if bias else None
    result = {'dtype': dtype, 'bias': bias}
    if dtype == 'q8_0':
        raw, w = packed(w)
        result['bytes'] = base64.b64encode(raw).decode()
    w.requires_grad_()
    y = torch.nn.functional.linear(x, w, b)
    loss = (values(y.shape, 4) * y * y).sum()
    wanted = {'x': x, 'w': w, **({'b': b} if bias else {})}
    grads = torch.autograd.grad(loss, list(wanted.values()))
    return {**result, 'out': text(y), 'grads': {name: text(g) for name, g in zip(wanted, grads)}}


def write(name, cases):
    path = pathlib.Path(__file__).with_name(name)
    lines = ',\n'.join(json.dumps(c, separators=(',', ':')) for c in cases)
    path.write_text(f'[\n{lines}\n]\n')
    print(name, len(cases), 'cases,', path.stat().st_size, 'bytes')


if __name__ == '__main__':
    write('attend.json', [solve(c) for c in CASES])
    write('linear.json', [linear_case(dtype, bias) for dtype in ('f32', 'f16', 'q8_0') for bias in (False, True)])
