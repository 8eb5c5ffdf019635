"""Cases of model-variations.py: decoders with rotary positions."""
BASE = dict(vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=24,
            max_position_embeddings=256, pad_token_id=0)
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16)
CASES = {
    "mistral-whole-yarn": ("mistral", dict(BASE, sliding_window=None, tie_word_embeddings=True, head_dim=12, rope_parameters=YARN)),
    "qwen2-upper-windows": ("qwen2", dict(BASE, num_hidden_layers=3, use_sliding_window=True, sliding_window=5, max_window_layers=2,
                                          tie_word_embeddings=True)),
    "qwen3-biased-windows": ("qwen3", dict(BASE, head_dim=12, attention_bias=True, use_sliding_window=True, sliding_window=4,
                                           layer_types=["sliding_attention", "full_attention"])),
}
STYLED = CASES
