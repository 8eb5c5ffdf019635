import { activations } from '@attune/nn'
import { AttuneError } from '@attune/tensor'
import { ignore, layout } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderRules, gatedMlpRules, headsRules } from './file-names.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** Llama and everything that says `model_type: llama`. https://arxiv.org/abs/2302.13971 */
export const llama: ModelDefinition = {
  type: 'llama',
  spec(json) {
    const c = new ConfigReader(json)
    // Parallel training setup; the weights are the same.
    c.ignore('pretraining_tp', 'attention_dropout', 'max_sequence_length')
    // Written by the trainer of SmolLM; transformers knows only the other order.
    if (c.flag('rope_interleaved', false))
      throw new AttuneError('ERR_UNSUPPORTED', "config.json: 'rope_interleaved' true is not supported", { rope_interleaved: true })
    const dim = c.count('hidden_size')
    const heads = c.count('num_attention_heads')
    const kvHeads = c.count('num_key_value_heads', heads)
    const headDim = c.count('head_dim', Math.floor(dim / heads))
    const maxPositions = c.count('max_position_embeddings', 2048)
    const bias = c.flag('attention_bias', false)
    const act = c.text('hidden_act', 'silu')
    if (heads % kvHeads !== 0) throw c.wrong('num_key_value_heads', `a divisor of num_attention_heads (${heads})`, kvHeads)
    if (!activations[act])
      throw new AttuneError(
        'ERR_UNSUPPORTED',
        `config.json: hidden_act '${act}' is not supported (known: ${Object.keys(activations).join(', ')})`,
        { hidden_act: act },
      )
    const position = ropeFromConfig(c, headDim, maxPositions)
    const variant = kvHeads === heads ? 'mha' : kvHeads === 1 ? 'mqa' : 'gqa'
    const layer: LayerSpec = {
      attention: {
        variant,
        config: { dim, heads, ...(variant === 'gqa' ? { kvHeads } : {}), headDim, bias, outBias: bias },
        position,
        mask: { kind: 'causal' },
      },
      mlp: { kind: 'gated', hidden: c.count('intermediate_size'), bias: c.flag('mlp_bias', false), activation: act },
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'llama',
      vocab: c.count('vocab_size'),
      dim,
      norm: { kind: 'rms', eps: c.number('rms_norm_eps', 1e-6, 0) },
      tied: c.flag('tie_word_embeddings', false),
      maxPositions,
      layers: new Array(c.count('num_hidden_layers')).fill(layer),
    }
    c.finish()
    return spec
  },
  layout: () =>
    layout([
      ...decoderRules,
      ...headsRules,
      ...gatedMlpRules,
      ignore('model.layers.{i}.self_attn.rotary_emb.inv_freq', 'computed from the config'),
    ]),
}
