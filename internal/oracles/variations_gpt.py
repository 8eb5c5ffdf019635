"""Cases of model-variations.py: GPT-2 and the decoders of its time."""
GPT = dict(vocab_size=40, n_embd=16, n_layer=2, n_head=2, n_positions=48, pad_token_id=0, bos_token_id=1, eos_token_id=2)
WORDS = dict(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, pad_token_id=0, bos_token_id=1, eos_token_id=2)
RW = dict(WORDS, hidden_size=48, num_attention_heads=12, alibi=True, bias=True, multi_query=False, parallel_attn=False, ffn_hidden_size=24)
MPT = dict(vocab_size=40, d_model=16, n_layers=2, n_heads=2, max_seq_len=64)
OPT = dict(WORDS, ffn_dim=24, max_position_embeddings=48, num_attention_heads=2)
CASES = {
    "gpt2-scaled": ("gpt2", dict(GPT, scale_attn_by_inverse_layer_idx=True, n_inner=24, activation_function="gelu",
                                 tie_word_embeddings=False)),
    "gpt2-raw": ("gpt2", dict(GPT, scale_attn_weights=False, activation_function="relu")),
    "bloom-after-norm": ("bloom", dict(vocab_size=40, hidden_size=24, n_layer=2, n_head=6, pad_token_id=0, layer_norm_epsilon=1e-3,
                                       apply_residual_connection_post_layernorm=True, tie_word_embeddings=False)),
    "falcon-shared": ("falcon", dict(WORDS)),
    "falcon-grouped": ("falcon", dict(WORDS, num_kv_heads=2, new_decoder_architecture=True, tie_word_embeddings=False)),
    "falcon-one-norm": ("falcon", dict(WORDS, num_kv_heads=1, new_decoder_architecture=True, num_ln_in_parallel_attn=1, bias=True,
                                       ffn_hidden_size=24, rope_parameters=dict(rope_type="linear", factor=2.0, rope_theta=500.0))),
    # Eager attention adds Falcon's linear biases twice, once in the mask; the default, as here, once.
    "falcon-rw": ("falcon", RW, "sdpa"),
    "falcon-alibi-shared": ("falcon", dict(WORDS, hidden_size=24, num_attention_heads=6, alibi=True), "sdpa"),
    "falcon-alibi-grouped": ("falcon", dict(RW, hidden_size=24, num_attention_heads=6, num_kv_heads=3, new_decoder_architecture=True,
                                            parallel_attn=True), "sdpa"),
    "falcon-serial": ("falcon", dict(WORDS, multi_query=False, parallel_attn=False, activation="relu")),
    "gptj": ("gptj", dict(GPT, rotary_dim=4)),
    "gptj-tied": ("gptj", dict(GPT, rotary_dim=8, n_inner=24, tie_word_embeddings=True)),
    "gpt_neo": ("gpt_neo", dict(vocab_size=40, hidden_size=16, num_layers=3, num_heads=2, max_position_embeddings=48, window_size=4,
                                attention_types=[[["global", "local"], 1], [["local"], 1]], intermediate_size=24)),
    "gpt_neo-untied": ("gpt_neo", dict(vocab_size=40, hidden_size=16, num_layers=2, num_heads=4, max_position_embeddings=32,
                                       window_size=7, attention_types=[[["local", "global"], 1]], tie_word_embeddings=False)),
    "gpt_bigcode": ("gpt_bigcode", dict(GPT, n_head=4)),
    "gpt_bigcode-heads": ("gpt_bigcode", dict(GPT, multi_query=False, scale_attn_weights=False, n_inner=24, tie_word_embeddings=False,
                                              activation_function="gelu_fast")),
    "mpt": ("mpt", dict(MPT)),
    "mpt-without-biases": ("mpt", dict(MPT, n_layers=1, no_bias=False, attn_config=dict(qk_ln=True))),
    "mpt-clipped": ("mpt", dict(MPT, d_model=24, n_heads=6, layer_norm_epsilon=1e-3, tie_word_embeddings=False,
                                attn_config=dict(clip_qkv=0.6, softmax_scale=0.7))),
    "opt": ("opt", dict(OPT)),
    "opt-projected": ("opt", dict(OPT, word_embed_proj_dim=12, do_layer_norm_before=False, tie_word_embeddings=False)),
    "opt-bare": ("opt", dict(OPT, enable_bias=False, layer_norm_elementwise_affine=False, activation_function="gelu")),
    "opt-narrow": ("opt", dict(OPT, word_embed_proj_dim=8, _remove_final_layer_norm=True)),
}
STYLED = ["falcon-one-norm"]
