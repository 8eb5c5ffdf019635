import { lightningSlopes } from '@attune/attention-linear'
import { ignore, layout, rule, split } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderRules, expertRules, headsRules, layersWhere, same } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec, ResidualSpec } from './spec.ts'

/** MiniMax-01: lightning attention in most layers, softmax in the others; the residual stream is what each norm gives. https://arxiv.org/abs/2501.08313 */
export const minimax: ModelDefinition = {
  type: 'minimax',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout', 'router_aux_loss_coef', 'output_router_logits', 'router_jitter_noise') // training
    c.ignore('block_size') // how lightning attention is computed: in chunks of our own
    c.only('sliding_window', undefined)
    const counts = headCounts(c, { dim: 4096, heads: 32, kvHeads: 8 })
    const { dim, heads, headDim } = counts
    const layers = c.count('num_hidden_layers', 32)
    const maxPositions = c.count('max_position_embeddings', 131072)
    const activation = c.activation('hidden_act', 'silu')
    const residual = (name: string): ResidualSpec => ({
      of: 'norm',
      keep: c.number(`${name}_alpha_factor`, 1),
      add: c.number(`${name}_beta_factor`, 1),
    })
    const full: LayerSpec['attention'] = {
      ...headsAttention(counts, {}),
      position: ropeFromConfig(c, headDim, maxPositions, { theta: 1e6 }),
      mask: { kind: 'causal' },
      residual: residual('full_attn'),
    }
    const folded = residual('linear_attn')
    const linear = (layer: number): LayerSpec['attention'] => ({
      variant: 'lightning',
      config: { dim, heads, headDim, slopes: lightningSlopes(heads, layer, layers), activation },
      position: { kind: 'none' },
      mask: { kind: 'causal' },
      residual: folded,
    })
    const mlp: LayerSpec['mlp'] = {
      kind: 'moe',
      hidden: c.count('intermediate_size', 14336),
      activation,
      router: {
        experts: c.count('num_local_experts', 8),
        perToken: c.count('num_experts_per_tok', 2),
        scoring: 'softmax',
        normalise: true,
      },
      residual: residual('mlp'),
    }
    const kinds = c.layerTypes('layer_types', layers, ['linear_attention', 'full_attention'], i =>
      i % 2 === 0 ? 'full_attention' : 'linear_attention',
    )
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'minimax',
      vocab: c.count('vocab_size', 32000),
      dim,
      norm: { kind: 'rms', eps: c.number('rms_norm_eps', 1e-5, 0) },
      tied: c.flag('tie_word_embeddings', false),
      maxPositions,
      layers: kinds.map((kind, i) => ({ attention: kind === 'full_attention' ? full : linear(i), mlp })),
    }
    c.finish()
    return spec
  },
  layout(spec) {
    const { heads, headDim } = spec.layers[0].attention.config as { heads: number; headDim: number }
    const [file, param] = ['model.layers.{i}', 'layers.{i}']
    const full = layersWhere(spec, l => l.attention.variant !== 'lightning')
    const linear = layersWhere(spec, l => l.attention.variant === 'lightning')
    return layout([
      ...decoderRules,
      ...(full ? headsRules(full) : []),
      ...(linear ? lightningRules(`model.layers.${linear}.self_attn`, `layers.${linear}.attention`, heads, headDim) : []),
      same(`${file}.block_sparse_moe.gate`, `${param}.mlp.router`),
      ...expertRules(`${file}.block_sparse_moe.experts`, { gate: 'w1', up: 'w3', down: 'w2' }),
      ...['slope_rate', 'query_decay', 'key_decay', 'diagonal_decay'].map(x =>
        ignore(`${file}.self_attn.${x}`, 'computed from the config'),
      ),
    ])
  },
}

/** Every head's query, key and value lie beside each other. */
const lightningRules = (file: string, param: string, heads: number, headDim: number) => [
  rule(
    `${file}.qkv_proj.weight`,
    ['q', 'k', 'v'].map(x => `${param}.${x}.weight`),
    split(0, [headDim, headDim, headDim], heads),
  ),
  same(`${file}.output_gate`, `${param}.gate`),
  same(`${file}.norm`, `${param}.norm`),
  same(`${file}.out_proj`, `${param}.o`),
]
