import { type Checkpoint, memorySource, tensorEntry } from '@attune/weights'

const [dim, hidden, layers, vocab] = [128, 384, 30, 256]
const config = {
  model_type: 'llama',
  hidden_size: dim,
  intermediate_size: hidden,
  num_hidden_layers: layers,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-6,
  vocab_size: vocab,
  tie_word_embeddings: true,
}

/** A llama with pseudo-random weights, as deep as SmolLM2: recording a step, and a step, take many times the 10 ms that the event loop is owed. */
export function deepCheckpoint(): Checkpoint {
  const shapes: [name: string, shape: number[]][] = [
    ['model.embed_tokens', [vocab, dim]],
    ['model.norm', [dim]],
  ]
  for (let i = 0; i < layers; i++)
    shapes.push(
      [`model.layers.${i}.input_layernorm`, [dim]],
      [`model.layers.${i}.post_attention_layernorm`, [dim]],
      [`model.layers.${i}.self_attn.q_proj`, [dim, dim]],
      [`model.layers.${i}.self_attn.k_proj`, [dim / 2, dim]],
      [`model.layers.${i}.self_attn.v_proj`, [dim / 2, dim]],
      [`model.layers.${i}.self_attn.o_proj`, [dim, dim]],
      [`model.layers.${i}.mlp.gate_proj`, [hidden, dim]],
      [`model.layers.${i}.mlp.up_proj`, [hidden, dim]],
      [`model.layers.${i}.mlp.down_proj`, [dim, hidden]],
    )
  let state = 1
  const draw = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 31 - 1
  }
  const entries = shapes.map(([base, shape]) => {
    const name = `${base}.weight`
    const [rows, columns] = shape
    const values = new Float32Array(rows * (columns ?? 1))
    for (let i = 0; i < values.length; i++) values[i] = columns === undefined ? 1 : (2 * draw()) / Math.sqrt(columns)
    return tensorEntry(memorySource(name, new Uint8Array(values.buffer)), { name, dtype: 'f32', shape, byteOffset: 0 })
  })
  return { name: 'deep', format: 'safetensors', config, tensors: new Map(entries.map(e => [e.name, e])), files: [], async close() {} }
}
