"""Writes packages/models/test/fixtures/variations/NAME: tiny random checkpoints of the settings that the larger fixtures leave out, with
transformers' float32 logits of 30 tokens in expected.safetensors. Cases of whole families lie beside it in variations_*.py.

By hand: python internal/oracles/model-variations.py [NAME ...], with torch 2.15.0 and transformers 5.23.0.
"""
import json
import pathlib
import runpy
import sys

import torch
from safetensors.torch import save_file
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

ROOT = pathlib.Path(__file__).parents[2] / "packages/models/test/fixtures/variations"
BASE = dict(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=256, pad_token_id=0)
DEEPSEEK = dict(BASE, num_key_value_heads=2, intermediate_size=24, moe_intermediate_size=8, kv_lora_rank=8, qk_nope_head_dim=8,
                qk_rope_head_dim=4, v_head_dim=6, first_k_dense_replace=1, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=1)
YARN = dict(rope_type="yarn", factor=8.0, original_max_position_embeddings=16, beta_fast=32.0, beta_slow=1.0, mscale=0.707,
            mscale_all_dim=0.5, rope_theta=10000.0)
QWEN = dict(BASE, head_dim=12, intermediate_size=24, moe_intermediate_size=8, shared_expert_intermediate_size=12, num_experts=4,
            num_experts_per_tok=2, linear_key_head_dim=8, linear_value_head_dim=6)
CASES = {
    "deepseek_v2-groups-yarn": ("deepseek_v2", dict(DEEPSEEK, q_lora_rank=12, topk_method="group_limited_greedy", n_group=4, topk_group=2,
                                                    routed_scaling_factor=3.0, rope_parameters=YARN)),
    "deepseek_v2-biased-tied": ("deepseek_v2", dict(DEEPSEEK, q_lora_rank=None, attention_bias=True, mlp_bias=True,
                                                    tie_word_embeddings=True, first_k_dense_replace=0)),
    "deepseek_v3-half-rope": ("deepseek_v3", dict(DEEPSEEK, q_lora_rank=None, n_group=2, topk_group=1, routed_scaling_factor=1.7,
                                                  norm_topk_prob=False, rope_interleave=False, attention_bias=True, rms_norm_eps=1e-3)),
    "gpt_oss-no-bias": ("gpt_oss", dict(BASE, num_key_value_heads=2, head_dim=12, intermediate_size=8, num_local_experts=4,
                                        num_experts_per_tok=3, attention_bias=False, sliding_window=4, tie_word_embeddings=True,
                                        swiglu_alpha=1.3, swiglu_limit=1.5, layer_types=["full_attention", "sliding_attention"])),
    "qwen3_next-dense-layers": ("qwen3_next", dict(QWEN, num_hidden_layers=3, num_key_value_heads=1, linear_num_key_heads=2,
                                                   linear_num_value_heads=4, linear_conv_kernel_dim=3, norm_topk_prob=False,
                                                   mlp_only_layers=[1], attention_bias=True, tie_word_embeddings=True,
                                                   layer_types=["full_attention", "linear_attention", "linear_attention"])),
    "qwen3_next-odd-rope": ("qwen3_next", dict(QWEN, num_hidden_layers=1, num_key_value_heads=2, layer_types=["full_attention"])),
    "mamba2-biased-tied": ("mamba2", dict(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_heads=4, head_dim=8, n_groups=1,
                                          state_size=6, use_bias=True, use_conv_bias=False, conv_kernel=3, tie_word_embeddings=True,
                                          chunk_size=8)),
    "mamba2-wide": ("mamba2", dict(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_heads=4, head_dim=12, expand=3, n_groups=4,
                                   state_size=5, chunk_size=16)),
    "minimax-linear-alone": ("minimax", dict(BASE, num_key_value_heads=2, intermediate_size=12, num_local_experts=3, num_experts_per_tok=2,
                                             block_size=8, layer_types=["linear_attention"] * 2, mlp_alpha_factor=1.2,
                                             linear_attn_beta_factor=0.7, tie_word_embeddings=True)),
}
STYLED = set()  # cases whose config.json is also written in the style of transformers 4, if it means the same
for family in sorted(pathlib.Path(__file__).parent.glob("variations_*.py")):
    told = runpy.run_path(str(family))
    CASES |= told["CASES"]
    STYLED |= set(told.get("STYLED", ()))


def in_old_style(config):
    """config.json of transformers 5 as transformers 4 wrote it: the rope's settings at top level and in `rope_scaling`."""
    old = {k: v for k, v in config.items() if k not in ("rope_parameters", "dtype")}
    rope = dict(config.get("rope_parameters") or {})
    if "full_attention" in rope:
        local, rope = rope["sliding_attention"]["rope_theta"], dict(rope["full_attention"])
        if local != rope["rope_theta"]:
            old["rope_local_base_freq"] = local
    for key in ("rope_theta", "partial_rotary_factor"):
        if key in rope:
            old[key] = rope.pop(key)
    old["rope_scaling"] = None if rope.get("rope_type", "default") == "default" else rope
    return dict(old, torch_dtype="float32", transformers_version="4.46.0")


def randomise(model):
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "A_log" in name:
                p.copy_(1.5 * torch.rand_like(p))
            elif "norm" in name or "ln_" in name:
                p.add_(0.2 * torch.randn_like(p))
            elif p.dim() > 1:
                p.copy_(torch.randn_like(p) * (1 if "embed" in name else 1.2 / p.shape[-1] ** 0.5))
            else:
                p.copy_(0.3 * torch.randn_like(p))
        for name, b in model.named_buffers():
            if "correction" in name:
                b.copy_(0.1 * torch.randn_like(b))


for name in sys.argv[1:] or CASES:
    model_type, config, attention = (*CASES[name], "eager")[:3]
    torch.manual_seed(sum(map(ord, name)))
    model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[model_type](**config), attn_implementation=attention).float().eval()
    randomise(model)
    model.tie_weights()
    model.save_pretrained(ROOT / name)
    (ROOT / name / "generation_config.json").unlink(missing_ok=True)
    ids = torch.randint(3, 40, (1, 30))
    with torch.no_grad():
        logits = model(ids, use_cache=False).logits[0]
        if name in STYLED:
            told = in_old_style(json.loads((ROOT / name / "config.json").read_text()))
            (ROOT / name / "config.legacy.json").write_text(json.dumps(told, indent=2) + "\n")
            old = AutoModelForCausalLM.from_config(CONFIG_MAPPING[model_type].from_dict(told), attn_implementation="eager").float().eval()
            old.load_state_dict(model.state_dict())
            assert torch.equal(old(ids, use_cache=False).logits[0], logits)
    save_file({"ids": ids[0].int(), "logits": logits.contiguous()}, ROOT / name / "expected.safetensors")
