import type { Rule } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { biasedNormDecoderRules, decoderLayout, headsRules, same } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'
import { windowMask } from './window-layers.ts'

/** StarCoder2: grouped heads in a window, feed-forward without a gate, biases and mean-and-variance norms. https://arxiv.org/abs/2402.19173 */
export const starcoder2: ModelDefinition = {
  type: 'starcoder2',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout', 'residual_dropout', 'embedding_dropout') // training
    // Left over from GPTBigCode in published files; transformers reads hidden_act and norm_epsilon.
    c.ignore(
      'activation_function',
      'layer_norm_epsilon',
      'attention_softmax_in_fp32',
      'scale_attention_softmax_in_fp32',
      'scale_attn_weights',
    )
    c.ignore('attention_softmax_in_fp32', 'scale_attention_softmax_in_fp32') // softmax is in float32 here
    c.ignore('layer_norm_epsilon') // norm_epsilon counts
    c.only('scale_attn_weights', true)
    c.only('mlp_type', 'default')
    c.only('norm_type', 'layer_norm')
    const counts = headCounts(c, { dim: 3072, heads: 24, kvHeads: 2 })
    const maxPositions = c.count('max_position_embeddings', 4096)
    const bias = c.flag('use_bias', true)
    const layer: LayerSpec = {
      attention: {
        ...headsAttention(counts, { bias, outBias: bias }),
        position: ropeFromConfig(c, counts.headDim, maxPositions),
        mask: windowMask(c.optionalCount('sliding_window')),
      },
      mlp: {
        kind: 'plain',
        hidden: c.count('intermediate_size', 12288),
        bias,
        activation: c.activation('hidden_act', 'gelu_pytorch_tanh'),
      },
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'starcoder2',
      vocab: c.count('vocab_size', 49152),
      dim: counts.dim,
      norm: { kind: 'layer', eps: c.number('norm_epsilon', 1e-5, 0), bias: true },
      tied: c.flag('tie_word_embeddings', true),
      maxPositions,
      layers: new Array(c.count('num_hidden_layers', 30)).fill(layer),
    }
    c.finish()
    return spec
  },
  layout: () => decoderLayout([...biasedNormDecoderRules, ...headsRules(), ...mlpRules]),
}

const mlpRules: Rule[] = [
  same('model.layers.{i}.mlp.c_fc', 'layers.{i}.mlp.up'),
  same('model.layers.{i}.mlp.c_proj', 'layers.{i}.mlp.down'),
]
