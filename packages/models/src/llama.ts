import { AttuneError } from '@attune/tensor'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, gatedMlpRules, headsRules } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
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
    const counts = headCounts(c, { dim: 4096, heads: 32 })
    const maxPositions = c.count('max_position_embeddings', 2048)
    const bias = c.flag('attention_bias', false)
    const layer: LayerSpec = {
      attention: {
        ...headsAttention(counts, { bias, outBias: bias }),
        position: ropeFromConfig(c, counts.headDim, maxPositions),
        mask: { kind: 'causal' },
      },
      mlp: {
        kind: 'gated',
        hidden: c.count('intermediate_size', 11008),
        bias: c.flag('mlp_bias', false),
        activation: c.activation('hidden_act', 'silu'),
      },
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'llama',
      vocab: c.count('vocab_size', 32000),
      dim: counts.dim,
      norm: { kind: 'rms', eps: c.number('rms_norm_eps', 1e-6, 0) },
      tied: c.flag('tie_word_embeddings', false),
      maxPositions,
      layers: new Array(c.count('num_hidden_layers', 32)).fill(layer),
    }
    c.finish()
    return spec
  },
  layout: () => decoderLayout([...decoderRules, ...headsRules(), ...gatedMlpRules]),
}
