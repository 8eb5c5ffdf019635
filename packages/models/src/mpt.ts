import { mptSlopes } from '@attune/position'
import { AttuneError } from '@attune/tensor'
import { layout } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition, TensorNames } from './definition.ts'
import { fused, headOf, normRules, same, under } from './file-names.ts'
import { headWidth } from './heads-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/**
 * MPT: linear biases, clamped projections. https://www.databricks.com/blog/mpt-7b
 * Settings that transformers does not read (alibi_bias_max, expansion_ratio, logit_scale; qk_ln and no_bias where the files have their tensors)
 * mean what they mean to the authors: https://github.com/mosaicml/llm-foundry
 */
export const mpt: ModelDefinition = {
  type: 'mpt',
  spec(json, tensors) {
    const c = new ConfigReader(json, { aliases: { num_attention_heads: 'n_heads', hidden_size: 'd_model', num_hidden_layers: 'n_layers' } })
    c.ignore('resid_pdrop', 'emb_pdrop', 'embedding_fraction', 'init_config', 'init_device', 'fc_type', 'verbose') // training
    c.ignore('tokenizer_name')
    c.ignore('learned_pos_emb') // linear biases take their place
    const dim = c.count('d_model', 2048)
    const bias = !c.flag('no_bias', true) && holds(tensors, ['norm_f.bias', 'blocks.0.attn.Wqkv.bias'])
    const norm = c.text('norm_type', 'low_precision_layernorm')
    if (norm !== 'layernorm') c.only('norm_type', 'low_precision_layernorm')
    const ffn = c.object('ffn_config')
    if (ffn) {
      const f = new ConfigReader(ffn, { at: ['ffn_config'] })
      f.only('ffn_type', 'mptmlp')
      f.ignore('fc_type')
      f.finish()
    }
    const eps = c.number('layer_norm_epsilon', 1e-5, 0)
    const layer: LayerSpec = {
      attention: attentionOf(c, { dim, bias, eps }, tensors),
      mlp: { kind: 'plain', hidden: c.count('expansion_ratio', 4) * dim, bias, activation: 'gelu' },
    }
    const headScale = logitScale(c, dim)
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'mpt',
      vocab: c.count('vocab_size', 50368),
      dim,
      norm: { kind: 'layer', eps, bias },
      tied: c.flag('tie_word_embeddings', true),
      maxPositions: c.count('max_seq_len', 2048),
      layers: new Array(c.count('n_layers', 24)).fill(layer),
      ...(headScale === undefined ? {} : { headScale }),
    }
    c.finish()
    return spec
  },
  layout: ({ dim, norm }) => {
    const gains = norm.kind === 'layer' && norm.bias ? normRules : (file: string, param: string) => [same(file, param)]
    return layout([
      ...under('transformer.', at => [
        same(`${at}wte`, 'embed'),
        ...gains(`${at}norm_f`, 'norm'),
        ...gains(`${at}blocks.{i}.norm_1`, 'layers.{i}.attentionNorm'),
        ...gains(`${at}blocks.{i}.norm_2`, 'layers.{i}.mlpNorm'),
        ...fused(`${at}blocks.{i}.attn.Wqkv`, [dim, dim, dim]),
        ...gains(`${at}blocks.{i}.attn.q_ln`, 'layers.{i}.attention.qNorm'),
        ...gains(`${at}blocks.{i}.attn.k_ln`, 'layers.{i}.attention.kNorm'),
        same(`${at}blocks.{i}.attn.out_proj`, 'layers.{i}.attention.o'),
        same(`${at}blocks.{i}.ffn.up_proj`, 'layers.{i}.mlp.up'),
        same(`${at}blocks.{i}.ffn.down_proj`, 'layers.{i}.mlp.down'),
      ]),
      ...headOf('lm_head'),
    ])
  },
}

function attentionOf(
  c: ConfigReader,
  { dim, bias, eps }: { dim: number; bias: boolean; eps: number },
  tensors?: TensorNames,
): LayerSpec['attention'] {
  const heads = c.count('n_heads', 16)
  const a = new ConfigReader(c.object('attn_config') ?? {}, { at: ['attn_config'] })
  a.ignore('attn_pdrop', 'attn_impl', 'fused_qkv', 'fc_type') // training, and how it is run
  a.ignore('attn_uses_sequence_id') // for packed training examples
  a.ignore('rope_theta', 'rope_impl', 'rope_dail_config', 'rope_hf_config') // for 'rope' alone
  for (const [key, value] of Object.entries({ alibi: true, rope: false, prefix_lm: false, qk_gn: false, sliding_window_size: -1 }))
    a.only(key, value)
  a.only('attn_type', 'multihead_attention')
  const clip = a.number('clip_qkv', 0, 0)
  const scale = a.raw('softmax_scale') === undefined ? undefined : a.number('softmax_scale')
  const normed = a.flag('qk_ln', false) && holds(tensors, ['blocks.0.attn.q_ln.weight', 'blocks.0.attn.k_ln.weight'])
  const slopes = mptSlopes(heads, a.count('alibi_bias_max', 8))
  a.finish()
  return {
    variant: 'mha',
    config: {
      ...{ dim, heads, headDim: headWidth(c, 'n_heads', dim, heads), bias, outBias: bias },
      ...(clip === 0 ? {} : { clip }),
      ...(scale === undefined ? {} : { scale }),
      ...(normed ? { qkNorm: { kind: 'layer', eps, bias, over: 'all' } } : {}),
    },
    position: { kind: 'alibi', slopes },
    mask: { kind: 'causal' },
  }
}

/** True where the files are not there to ask, or hold any of the tensors. */
const holds = (tensors: TensorNames | undefined, names: readonly string[]): boolean =>
  !tensors || names.some(name => tensors.has(name) || tensors.has(`transformer.${name}`))

function logitScale(c: ConfigReader, dim: number): number | undefined {
  const given = c.raw('logit_scale')
  if (given === undefined || (typeof given === 'number' && Number.isFinite(given))) return given
  if (given === 'inv_sqrt_d_model') return dim ** -0.5
  throw new AttuneError('ERR_UNSUPPORTED', `${c.file}: 'logit_scale' ${JSON.stringify(given)} is not a number or 'inv_sqrt_d_model'`, {
    logit_scale: given,
  })
}
