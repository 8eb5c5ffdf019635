import type { RouterSpec } from '@attune/nn'
import type { RopeSpec } from '@attune/position'
import { ignore, type Layout, layout, rule } from '@attune/weights'
import type { ConfigReader } from './config-reader.ts'
import { decoderRules, expertRules, gatedMlpRules, same } from './file-names.ts'
import { ropeFromConfig, yarnScale } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** What tells DeepSeek's model types apart. */
export interface DeepseekType {
  readonly type: string
  /** Values transformers takes for keys that a config lacks. */
  readonly defaults: {
    readonly dim: number
    readonly hidden: number
    readonly layers: number
    readonly heads: number
    readonly vocab: number
    readonly maxPositions: number
    /** Layers before the first mixture. */
    readonly dense: number
    readonly expertHidden: number
    readonly shared: number
  }
  pairing(c: ConfigReader): RopeSpec['pairing']
  router(c: ConfigReader): RouterSpec
}

/** DeepSeek's decoders: latent attention; the first layers dense, the others mixtures with a block that all tokens share. */
export function deepseekSpec(c: ConfigReader, { type, defaults, pairing, router }: DeepseekType): DecoderSpec {
  c.ignore('attention_dropout', 'pretraining_tp', 'output_router_logits', 'aux_loss_alpha', 'seq_aux', 'ep_size') // training
  c.ignore('num_key_value_heads', 'head_dim', 'qk_head_dim') // follow from the others: every head has its own keys
  c.ignore('num_nextn_predict_layers', 'num_mtp_layers') // further heads that guess ahead; the next token does not need them
  c.only('moe_layer_freq', 1)
  const dim = c.count('hidden_size', defaults.dim)
  const maxPositions = c.count('max_position_embeddings', defaults.maxPositions)
  const [nopeDim, ropeDim] = [c.count('qk_nope_head_dim', 128), c.count('qk_rope_head_dim', 64)]
  const position = ropeFromConfig(c, ropeDim, maxPositions, { pairing: pairing(c) })
  const bias = c.flag('attention_bias', false)
  const queryLatent = c.optionalCount('q_lora_rank', 1536)
  const scale = yarnScale(position)
  const attention: LayerSpec['attention'] = {
    variant: 'mla',
    config: {
      dim,
      heads: c.count('num_attention_heads', defaults.heads),
      nopeDim,
      ropeDim,
      valueDim: c.count('v_head_dim', 128),
      latent: c.count('kv_lora_rank', 512),
      ...(queryLatent === undefined ? {} : { queryLatent }),
      ...(bias ? { bias, outBias: bias } : {}),
      ...(scale === 1 ? {} : { scale: scale * scale * (nopeDim + ropeDim) ** -0.5 }),
    },
    position,
    mask: { kind: 'causal' },
  }
  const activation = c.activation('hidden_act', 'silu')
  const mlpBias = c.flag('mlp_bias', false)
  const hidden = c.count('moe_intermediate_size', defaults.expertHidden)
  const mixture: LayerSpec['mlp'] = {
    kind: 'moe',
    hidden,
    activation,
    router: router(c),
    shared: { hidden: hidden * c.count('n_shared_experts', defaults.shared), bias: mlpBias },
  }
  const dense: LayerSpec['mlp'] = { kind: 'gated', hidden: c.count('intermediate_size', defaults.hidden), bias: mlpBias, activation }
  const first = c.number('first_k_dense_replace', defaults.dense, 0)
  const spec: DecoderSpec = {
    kind: 'decoder',
    type,
    vocab: c.count('vocab_size', defaults.vocab),
    dim,
    norm: { kind: 'rms', eps: c.number('rms_norm_eps', 1e-6, 0) },
    tied: c.flag('tie_word_embeddings', false),
    maxPositions,
    layers: Array.from({ length: c.count('num_hidden_layers', defaults.layers) }, (_, i) => ({
      attention,
      mlp: i < first ? dense : mixture,
    })),
  }
  c.finish()
  return spec
}

/** Groups of experts as `n_group` and `topk_group` say; none where all take part. */
export function expertGroups(
  c: ConfigReader,
  experts: number,
  by: NonNullable<RouterSpec['groups']>['by'],
  otherwise: { count?: number; chosen?: number },
): Pick<RouterSpec, 'groups'> {
  const [count, chosen] = [c.count('n_group', otherwise.count), c.count('topk_group', otherwise.chosen)]
  if (experts % count !== 0) throw c.wrong('n_group', `a divisor of n_routed_experts (${experts})`, count)
  if (chosen > count) throw c.wrong('topk_group', `at most n_group (${count})`, chosen)
  return count === chosen ? {} : { groups: { count, chosen, by } }
}

/** File names of DeepSeek's decoders. */
export function deepseekLayout({ layers }: DecoderSpec): Layout {
  const [file, param] = ['model.layers.{i}', 'layers.{i}']
  const attention = { q: 'q_proj', qa: 'q_a_proj', qaNorm: 'q_a_layernorm', qb: 'q_b_proj', kva: 'kv_a_proj_with_mqa', kvNorm: 'kv_a_layernorm', kvb: 'kv_b_proj', o: 'o_proj' } // biome-ignore format: one table
  return layout([
    ...decoderRules,
    ...Object.entries(attention).map(([own, theirs]) => same(`${file}.self_attn.${theirs}`, `${param}.attention.${own}`)),
    ...gatedMlpRules,
    same(`${file}.mlp.gate`, `${param}.mlp.router`),
    rule(`${file}.mlp.gate.e_score_correction_bias`, `${param}.mlp.correction.weight`),
    ...expertRules(`${file}.mlp.experts`, { gate: 'gate_proj', up: 'up_proj', down: 'down_proj' }),
    ...['gate', 'up', 'down'].map(x => same(`${file}.mlp.shared_experts.${x}_proj`, `${param}.mlp.shared.${x}`)),
    ignore('model.layers.{i}.self_attn.rotary_emb.inv_freq', 'computed from the config'),
    ignore(`model.layers.${layers.length}.{**}`, 'guesses tokens beyond the next'),
  ])
}
