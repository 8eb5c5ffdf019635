"""Oracle for positions in the score and in learned tables: relative buckets of T5, slopes of ALiBi, interpolated grids.

transformers 5.23.0: T5Attention._relative_position_bucket, the build_alibi_tensor of bloom, falcon and mpt; torch 2.15.0: interpolate(mode='bicubic').
Run: python positions.py > ../../packages/position/src/positions-oracle.json
"""
import json
import torch
from transformers.models.t5.modeling_t5 import T5Attention
from transformers.models.bloom.modeling_bloom import build_alibi_tensor
from transformers.models.falcon.modeling_falcon import build_alibi_tensor as falcon_alibi
from transformers.models.mpt.modeling_mpt import build_mpt_alibi_tensor

buckets = []
for n, far in [(32, 128), (8, 20), (32, 64), (64, 256), (10, 37), (32, 130), (4, 9)]:
    for both in (True, False):
        distance = torch.arange(-far if both else 0, far + 1)
        given = distance if both else -distance
        got = T5Attention._relative_position_bucket(given, bidirectional=both, num_buckets=n, max_distance=far)
        beyond = T5Attention._relative_position_bucket(torch.tensor([-5 * far, 5 * far if both else 0]), bidirectional=both, num_buckets=n, max_distance=far)
        buckets.append(dict(buckets=n, maxDistance=far, bidirectional=both, values=got.tolist(), beyond=beyond.tolist()))

alibi = []
for heads in (1, 2, 4, 6, 12, 16, 20, 71):
    a = build_alibi_tensor(torch.ones(1, 2), heads, torch.float32)  # slope × position; (heads, 1, 2)
    alibi.append(dict(heads=heads, slopes=[float(x) for x in a[:, 0, 1]]))

AT = [*range(0, 40, 3), 127, 128, 129, 255, 256, 257, 258, 259, 261, 510, 511, 512, 513, 514, 515, 518, 522, 1021, 1022, 1023, 1024, 1028, 1029,
      2047, 2048, 4090, 5001, 8191, 16383, 32767, 65407, 65408, 65535, 65536, 99999, 131071, 262143, 500001]
falcon = []
for heads in (1, 5, 16, 71):
    a = falcon_alibi(torch.ones(1, AT[-1] + 1, dtype=torch.long), heads, torch.float32)  # (heads, 1, positions)
    falcon.append(dict(heads=heads, head=heads // 2, at=AT, values=[float(a[heads // 2, 0, i]) for i in AT]))

mpt = []
for heads, most in ((1, 8), (4, 8), (6, 8), (20, 8), (12, 16), (32, 6)):
    a = build_mpt_alibi_tensor(heads, 2, most)  # -slope at the key before; (heads, 1, 2)
    mpt.append(dict(heads=heads, max=most, slopes=[-float(x) for x in a[:, 0, 0]]))

grids = []
torch.manual_seed(5)
for learned, size in [((4, 4), (6, 5)), ((4, 4), (2, 3)), ((3, 5), (7, 5)), ((2, 2), (4, 4))]:
    t = torch.randn(1, 2, *learned)
    y = torch.nn.functional.interpolate(t, size=size, mode="bicubic", align_corners=False)
    grids.append(dict(learned=learned, size=size, table=t[0].flatten(1).T.flatten().tolist(), values=y[0].flatten(1).T.flatten().tolist()))

print(json.dumps(dict(buckets=buckets, alibi=alibi, falcon=falcon, mpt=mpt, grids=grids)))
