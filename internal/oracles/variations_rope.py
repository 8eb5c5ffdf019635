"""Cases of model-variations.py: decoders with rotary positions."""
BASE = dict(vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=24,
            max_position_embeddings=256, pad_token_id=0)
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16)
SHORT, LONG = [1.0, 1.1, 1.3, 1.6], [1.5, 3.0, 7.0, 20.0]
LONGROPE = dict(rope_type="longrope", rope_theta=10000.0, short_factor=SHORT, long_factor=LONG)
LOCAL = dict(rope_type="default", rope_theta=100.0)
GRANITE = dict(embedding_multiplier=3.0, logits_scaling=2.5, residual_multiplier=0.4, attention_multiplier=0.2)
MOE = dict(BASE, num_experts_per_tok=2, num_local_experts=4)
QWEN_MOE = dict(BASE, num_hidden_layers=3, intermediate_size=16, moe_intermediate_size=8, num_experts=4, num_experts_per_tok=2)
CASES = {
    "mistral-whole-yarn": ("mistral", dict(BASE, sliding_window=None, tie_word_embeddings=True, head_dim=12, rope_parameters=YARN)),
    "qwen2-upper-windows": ("qwen2", dict(BASE, num_hidden_layers=3, use_sliding_window=True, sliding_window=5, max_window_layers=2,
                                          tie_word_embeddings=True)),
    "qwen3-biased-windows": ("qwen3", dict(BASE, head_dim=12, attention_bias=True, use_sliding_window=True, sliding_window=4,
                                           layer_types=["sliding_attention", "full_attention"])),
    "phi3-plain": ("phi3", dict(BASE, num_key_value_heads=None, sliding_window=6, original_max_position_embeddings=256)),
    "phi3-long": ("phi3", dict(BASE, original_max_position_embeddings=16, rope_parameters=LONGROPE, tie_word_embeddings=True)),
    "phi3-short-partial": ("phi3", dict(BASE, num_key_value_heads=1, original_max_position_embeddings=64,
                                        rope_parameters=dict(LONGROPE, short_factor=SHORT[:3], long_factor=LONG[:3],
                                                             partial_rotary_factor=0.75))),
    "gemma-one-key": ("gemma", dict(BASE, num_key_value_heads=1, head_dim=12, hidden_act="gelu")),
    "gemma-biased-untied": ("gemma", dict(BASE, head_dim=8, attention_bias=True, tie_word_embeddings=False, hidden_act="relu")),
    "gemma3_text-pattern": ("gemma3_text", dict(BASE, num_hidden_layers=3, head_dim=12, sliding_window=4, query_pre_attn_scalar=20,
                                                final_logit_softcapping=5.0, hidden_activation="gelu_pytorch_tanh",
                                                layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                                                rope_parameters=dict(sliding_attention=LOCAL, full_attention=dict(
                                                    rope_type="linear", rope_theta=5000.0, factor=4.0)))),
    "gemma3_text-biased": ("gemma3_text", dict(BASE, head_dim=8, sliding_window=6, attention_bias=True, sliding_window_pattern=2,
                                               tie_word_embeddings=False)),
    "smollm3-every-third": ("smollm3", dict(BASE, num_hidden_layers=3, no_rope_layer_interval=3, rope_parameters=YARN)),
    "smollm3-windows": ("smollm3", dict(BASE, no_rope_layers=[0, 1], use_sliding_window=True, sliding_window=5, attention_bias=True,
                                        mlp_bias=True, tie_word_embeddings=False)),
    "granite-factors": ("granite", dict(BASE, **GRANITE)),
    "granite-biased-tied": ("granite", dict(BASE, **GRANITE, num_key_value_heads=None, attention_bias=True, mlp_bias=True,
                                            tie_word_embeddings=True, rope_parameters=LLAMA3)),
    "olmo2-groups": ("olmo2", dict(BASE)),
    "olmo2-biased-tied": ("olmo2", dict(BASE, num_key_value_heads=None, attention_bias=True, tie_word_embeddings=True)),
    "cohere-plain": ("cohere", dict(BASE, num_key_value_heads=None, logit_scale=0.3)),
    "cohere-normed": ("cohere", dict(BASE, use_qk_norm=True, attention_bias=True, tie_word_embeddings=False, logit_scale=0.5)),
    "phi-plain": ("phi", dict(BASE, num_key_value_heads=None, rope_parameters=dict(rope_type="default", rope_theta=500.0,
                                                                                    partial_rotary_factor=0.75))),
    "phi-normed-tied": ("phi", dict(BASE, qk_layernorm=True, tie_word_embeddings=True, hidden_act="gelu")),
    "stablelm-plain": ("stablelm", dict(BASE, use_qkv_bias=True, rope_parameters=dict(rope_type="default", rope_theta=500.0,
                                                                                       partial_rotary_factor=0.5))),
    "stablelm-normed-parallel": ("stablelm", dict(BASE, qk_layernorm=True, use_parallel_residual=True, tie_word_embeddings=True)),
    "starcoder2-window": ("starcoder2", dict(BASE, sliding_window=5)),
    "starcoder2-no-bias": ("starcoder2", dict(BASE, num_key_value_heads=1, use_bias=False, tie_word_embeddings=False)),
    "mixtral-window": ("mixtral", dict(MOE, sliding_window=5, intermediate_size=12)),
    "mixtral-three": ("mixtral", dict(MOE, head_dim=12, num_experts_per_tok=3, intermediate_size=12, tie_word_embeddings=True)),
    "qwen2_moe-mixed": ("qwen2_moe", dict(QWEN_MOE, shared_expert_intermediate_size=12, mlp_only_layers=[1], use_sliding_window=True,
                                          sliding_window=5, max_window_layers=2)),
    "qwen2_moe-plain": ("qwen2_moe", dict(QWEN_MOE, num_hidden_layers=2, shared_expert_intermediate_size=20, norm_topk_prob=True,
                                          qkv_bias=False, decoder_sparse_step=2, tie_word_embeddings=True)),
    "qwen3_moe-window": ("qwen3_moe", dict(QWEN_MOE, num_hidden_layers=2, head_dim=12, attention_bias=True, use_sliding_window=True,
                                           sliding_window=5, norm_topk_prob=True)),
    "qwen3_moe-mixed": ("qwen3_moe", dict(QWEN_MOE, mlp_only_layers=[0], tie_word_embeddings=True)),
    "cohere2-pattern": ("cohere2", dict(BASE, sliding_window=5, sliding_window_pattern=2, logit_scale=0.4)),
    "cohere2-biased": ("cohere2", dict(BASE, sliding_window=6, attention_bias=True, tie_word_embeddings=False, logit_scale=0.4,
                                       layer_types=["full_attention", "sliding_attention"])),
    "glm-plain": ("glm", dict(BASE, head_dim=8)),
    "glm4-partial": ("glm4", dict(BASE, head_dim=16, attention_bias=False, tie_word_embeddings=True,
                                  rope_parameters=dict(rope_type="default", rope_theta=500.0, partial_rotary_factor=0.75))),
    "olmo-clipped": ("olmo", dict(BASE, clip_qkv=0.9)),
    "olmo-biased-tied": ("olmo", dict(BASE, num_key_value_heads=None, attention_bias=True, tie_word_embeddings=True)),
    "olmo3-pattern": ("olmo3", dict(BASE, sliding_window=5, layer_types=["sliding_attention", "full_attention"],
                                    rope_parameters=dict(sliding_attention=dict(rope_type="default", rope_theta=500000.0),
                                                         full_attention=dict(YARN, rope_theta=500000.0)))),
}
STYLED = CASES
