import { latentOf, type MlaShape, plainMla } from '@attune/attention-latent'
import { type DecoderSpec, deepseekV2, deepseekV3, type LayerSpec, type Model, swap } from '@attune/models'
import type { FolderForm } from './folder-form.ts'

/** Keys that a folder of another type keeps. */
const KEPT = ['bos_token_id', 'eos_token_id', 'pad_token_id', 'initializer_range', 'use_cache', 'transformers_version']

/** A model of latent attention with dense layers as a DeepSeek folder, which other programs open; or why it cannot be one. */
export function asDeepseek(model: Model, source: Readonly<Record<string, unknown>>): FolderForm | string {
  const shapes = model.spec.layers.map(l => latentOf(l.attention.variant, l.attention.config))
  const other = shapes.indexOf(undefined)
  if (other >= 0)
    return `layer ${other} uses '${model.spec.layers[other].attention.variant}', a DeepSeek folder holds latent attention only`
  const { norm, finalNorm, embed, headScale, headBias, logitCap } = model.spec
  if (norm.kind !== 'rms' || norm.offset || finalNorm === false)
    return 'its norms are not plain ones of the root mean square, as in DeepSeek models'
  if (embed || headScale !== undefined || headBias || logitCap !== undefined)
    return 'its embeddings or logits pass more than a table, which DeepSeek models have not'
  const why = model.spec.layers.map((layer, i) => whyLayer(layer, shapes[i]!) && `layer ${i}: ${whyLayer(layer, shapes[i]!)}`).find(x => x)
  if (why) return why
  const plain = swap(model.spec, layer => ({ ...layer, attention: { ...layer.attention, config: plainMla(layer.attention.config) } }))
  const unlike = plain.layers.findIndex(l => JSON.stringify(l.attention) !== JSON.stringify(plain.layers[0].attention))
  if (unlike > 0) return `layer ${unlike} is unlike layer 0, a DeepSeek folder holds one set of sizes for all`
  const mlpBias = plain.layers.some(l => l.mlp.kind === 'gated' && l.mlp.bias)
  const definition = mlpBias ? deepseekV2 : deepseekV3
  return {
    model: { ...model, definition, spec: { ...plain, type: definition.type } },
    config: configOf(plain, shapes[0]!, definition.type, mlpBias, source),
  }
}

function whyLayer({ attention, mlp, parallel }: LayerSpec, s: MlaShape): string | undefined {
  const { position, mask } = attention
  if (parallel || [attention, mlp].some(b => b.residual || (b.norm ?? 'before') !== 'before'))
    return 'its blocks do not stand one after another, each with a norm before it'
  if (mask.kind !== 'causal') return `its mask is '${mask.kind}'; DeepSeek layers see all that came before`
  if (mlp.kind !== 'gated') return 'its feed-forward block is not a gated one'
  if (position.kind !== 'rope') return 'it has no rotary positions'
  if (position.picked)
    return 'its rotated key turns by frequencies that no single head of its width has; convert with fewer rotated numbers (ropeDim)'
  if (position.pairing !== 'interleaved') return 'its rotated key turns numbers i and i + n, not 2i and 2i + 1'
  if (!s.latentNorm) return 'its latent passes no norm, as it does in DeepSeek models; convert with { latentNorm: true }'
  if (s.nopeDim === 0) return 'its heads have no keys of their own beside the rotated one'
  if (s.queryBias)
    return 'its queries have a bias, which DeepSeek models have only where queries have a latent; convert with { queryLatent }'
  if (s.bias !== s.outBias) return 'it has biases at one end only'
  return undefined
}

function configOf(
  { layers, dim, vocab, norm, tied, maxPositions }: DecoderSpec,
  s: MlaShape,
  type: string,
  mlpBias: boolean,
  source: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const [{ attention, mlp }] = layers
  const { theta, scaling } = attention.position as Extract<LayerSpec['attention']['position'], { kind: 'rope' }>
  const { type: ropeType, ...numbers } = scaling ?? { type: 'default' }
  const { hidden, activation } = mlp as Extract<LayerSpec['mlp'], { kind: 'gated' }>
  return {
    ...Object.fromEntries(KEPT.flatMap(k => (k in source ? [[k, source[k]]] : []))),
    ...('dtype' in source ? { dtype: source.dtype } : {}),
    architectures: [type === 'deepseek_v2' ? 'DeepseekV2ForCausalLM' : 'DeepseekV3ForCausalLM'],
    model_type: type,
    hidden_size: dim,
    intermediate_size: hidden,
    num_hidden_layers: layers.length,
    first_k_dense_replace: layers.length,
    num_attention_heads: s.heads,
    num_key_value_heads: s.heads,
    q_lora_rank: s.queryLatent ?? null,
    kv_lora_rank: s.latent,
    qk_nope_head_dim: s.nopeDim,
    qk_rope_head_dim: s.ropeDim,
    head_dim: s.ropeDim, // transformers computes the frequencies of so many numbers
    v_head_dim: s.valueDim,
    attention_bias: s.bias,
    hidden_act: activation,
    rms_norm_eps: norm.eps,
    vocab_size: vocab,
    tie_word_embeddings: tied,
    max_position_embeddings: maxPositions,
    rope_theta: theta,
    rope_scaling: scaling ? { rope_type: ropeType, ...numbers } : null,
    ...(type === 'deepseek_v2' ? { mlp_bias: mlpBias, num_experts_per_tok: 1 } : { rope_interleave: true }),
  }
}
