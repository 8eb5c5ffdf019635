"""Writes packages/weights/test/fixtures/float8.json: what PyTorch reads of every byte of its float8 types. By hand, with torch 2.15.0."""
import json
import pathlib

import torch

TYPES = {'F8_E4M3': torch.float8_e4m3fn, 'F8_E5M2': torch.float8_e5m2, 'F8_E4M3FNUZ': torch.float8_e4m3fnuz,
         'F8_E5M2FNUZ': torch.float8_e5m2fnuz, 'F8_E8M0': torch.float8_e8m0fnu}


def told(x):
    return None if x != x else str(x) if x in (float('inf'), -float('inf')) else x


values = {name: [told(x) for x in torch.arange(256, dtype=torch.uint8).view(t).float().tolist()] for name, t in TYPES.items()}
path = pathlib.Path(__file__).parents[2] / 'packages/weights/test/fixtures/float8.json'
path.write_text(json.dumps({'torch': torch.__version__, **values}, separators=(',', ':')))
