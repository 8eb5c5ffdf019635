"""Writes packages/models/test/fixtures/variations/mpt-foundry: a tiny MPT with the settings that transformers does not read, by the formulas
of the authors' code (llm-foundry v0.3, llmfoundry/models/layers/attention.py and models/mpt/modeling_mpt.py): biases on maps and norms,
norms of queries and keys over all heads, `alibi_bias_max`, `expansion_ratio`, `logit_scale`.

By hand: python internal/oracles/mpt-foundry.py, with torch 2.15.0.
"""
import json
import math
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).parents[2] / "packages/models/test/fixtures/variations/mpt-foundry"
D, HEADS, LAYERS, VOCAB, RATIO, CLIP, MOST = 24, 6, 2, 40, 2, 0.9, 16
CONFIG = dict(model_type="mpt", architectures=["MPTForCausalLM"], d_model=D, n_heads=HEADS, n_layers=LAYERS, vocab_size=VOCAB, max_seq_len=64,
              expansion_ratio=RATIO, no_bias=False, logit_scale="inv_sqrt_d_model", learned_pos_emb=True, norm_type="low_precision_layernorm",
              attn_config=dict(alibi=True, alibi_bias_max=MOST, attn_impl="torch", attn_pdrop=0, attn_type="multihead_attention",
                               attn_uses_sequence_id=False, clip_qkv=CLIP, prefix_lm=False, qk_ln=True, softmax_scale=None),
              auto_map={"AutoModelForCausalLM": "modeling_mpt.MPTForCausalLM"}, torch_dtype="float32", use_cache=False)

torch.manual_seed(11)
w = {}


def linear(name, out, into):
    w[f"{name}.weight"], w[f"{name}.bias"] = torch.randn(out, into) * 1.2 / into**0.5, 0.3 * torch.randn(out)


def norm(name):
    w[f"{name}.weight"], w[f"{name}.bias"] = 1 + 0.2 * torch.randn(D), 0.2 * torch.randn(D)


w["transformer.wte.weight"] = torch.randn(VOCAB, D)
for i in range(LAYERS):
    at = f"transformer.blocks.{i}"
    for name in ("norm_1", "norm_2", "attn.q_ln", "attn.k_ln"):
        norm(f"{at}.{name}")
    linear(f"{at}.attn.Wqkv", 3 * D, D)
    linear(f"{at}.attn.out_proj", D, D)
    linear(f"{at}.ffn.up_proj", RATIO * D, D)
    linear(f"{at}.ffn.down_proj", D, RATIO * D)
norm("transformer.norm_f")


def apply(name, x):
    return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])


def normed(name, x):
    return F.layer_norm(x, (D,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-5)


def slopes():  # gen_slopes
    n = 2 ** math.ceil(math.log2(HEADS))
    m = 1.0 / torch.pow(2, torch.arange(1, n + 1, dtype=torch.float32) * (MOST / n))
    return (m if n == HEADS else torch.cat([m[1::2], m[::2]])[:HEADS]).view(HEADS, 1, 1)


ids = torch.randint(3, VOCAB, (30,))
x = w["transformer.wte.weight"][ids]
n = len(ids)
bias = slopes() * torch.arange(1 - n, 1, dtype=torch.float32).view(1, 1, n)  # build_alibi_bias
mask = torch.full((n, n), float("-inf")).triu(1)
for i in range(LAYERS):
    at = f"transformer.blocks.{i}"
    q, k, v = apply(f"{at}.attn.Wqkv", normed(f"{at}.norm_1", x)).clamp(-CLIP, CLIP).chunk(3, dim=-1)
    q, k = normed(f"{at}.attn.q_ln", q), normed(f"{at}.attn.k_ln", k)
    q, k, v = (t.view(n, HEADS, D // HEADS).transpose(0, 1) for t in (q, k, v))
    weights = (q @ k.transpose(1, 2) / math.sqrt(D / HEADS) + bias + mask).softmax(-1)
    x = x + apply(f"{at}.attn.out_proj", (weights @ v).transpose(0, 1).reshape(n, D))
    x = x + apply(f"{at}.ffn.down_proj", F.gelu(apply(f"{at}.ffn.up_proj", normed(f"{at}.norm_2", x))))
logits = F.linear(normed("transformer.norm_f", x), w["transformer.wte.weight"]) / math.sqrt(D)

OUT.mkdir(parents=True, exist_ok=True)
(OUT / "config.json").write_text(json.dumps(CONFIG, indent=1, sort_keys=True) + "\n")
save_file({name: t.contiguous() for name, t in w.items()}, OUT / "model.safetensors", metadata={"format": "pt"})
save_file({"ids": ids.int(), "logits": logits.contiguous()}, OUT / "expected.safetensors")
