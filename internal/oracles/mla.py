"""
Outputs of DeepSeek's attention as transformers computes it (DeepseekV2Attention, DeepseekV3Attention), for small random layers.
Run by hand: python internal/oracles/mla.py > packages/attention-latent/test/mla-oracle.json
Source: transformers 5.23.0, models/deepseek_v2/modeling_deepseek_v2.py and models/deepseek_v3/modeling_deepseek_v3.py.
"""
import json
import sys

import torch
import transformers
from transformers import DeepseekV2Config, DeepseekV3Config
from transformers.models.deepseek_v2 import modeling_deepseek_v2 as v2
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as v3

TOKENS = 18
SIZES = dict(hidden_size=24, num_attention_heads=3, num_key_value_heads=3, kv_lora_rank=12, qk_nope_head_dim=8, qk_rope_head_dim=4, v_head_dim=6)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, mscale=0.7, mscale_all_dim=1.2, original_max_position_embeddings=8, beta_fast=32.0, beta_slow=1.0)
PLAIN = dict(rope_type="default", rope_theta=10000.0)


def case(name, module, config, seed):
    torch.manual_seed(seed)
    config._attn_implementation = "eager"
    kind = "V2" if module is v2 else "V3"
    layer = getattr(module, f"Deepseek{kind}Attention")(config, 0).eval()
    for n, p in layer.named_parameters():
        p.data = torch.round((1 + 0.2 * torch.randn_like(p) if "layernorm" in n else torch.randn_like(p) / p.shape[-1] ** 0.5) * 1e4) / 1e4
    x = torch.round(torch.randn(1, TOKENS, config.hidden_size) * 1e4) / 1e4
    rotary = getattr(module, f"Deepseek{kind}RotaryEmbedding")(config)
    positions = torch.arange(TOKENS)[None]
    mask = torch.full((TOKENS, TOKENS), float("-inf")).triu(1)[None, None]
    with torch.no_grad():
        out, _ = layer(hidden_states=x, attention_mask=mask, position_embeddings=rotary(x, positions), past_key_values=None)
    flat = lambda t: [round(v, 7) for v in t.flatten().tolist()]
    return dict(
        name=name,
        queryLatent=config.q_lora_rank,
        bias=config.attention_bias,
        rope=config.rope_parameters,
        scale=layer.scaling,
        x=flat(x),
        out=flat(out),
        parameters={n: flat(p) for n, p in layer.named_parameters()},
    )


cases = [
    case("deepseek_v2", v2, DeepseekV2Config(**SIZES, head_dim=4, q_lora_rank=None, attention_bias=False, rope_parameters=dict(PLAIN), max_position_embeddings=64), 1),
    case("deepseek_v2, query latent, biases", v2, DeepseekV2Config(**SIZES, head_dim=4, q_lora_rank=10, attention_bias=True, rope_parameters=dict(PLAIN), max_position_embeddings=64), 2),
    case("deepseek_v3, YaRN", v3, DeepseekV3Config(**SIZES, q_lora_rank=10, attention_bias=False, rope_parameters=dict(YARN), rope_interleave=True, max_position_embeddings=64), 3),
]
json.dump(dict(source=f"transformers {transformers.__version__}, torch {torch.__version__}", sizes=SIZES, tokens=TOKENS, cases=cases), sys.stdout)
