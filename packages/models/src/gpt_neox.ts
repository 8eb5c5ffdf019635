import { ignore, layout, rule, split } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { normRules, same } from './file-names.ts'
import { headCounts } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** GPT-NeoX and Pythia: attention and feed-forward side by side, partly rotary heads. https://arxiv.org/abs/2204.06745 */
export const gptNeox: ModelDefinition = {
  type: 'gpt_neox',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout', 'hidden_dropout', 'classifier_dropout') // training
    const { dim, heads, headDim } = headCounts(c, { dim: 6144, heads: 64 })
    const maxPositions = c.count('max_position_embeddings', 2048)
    const bias = c.flag('attention_bias', true)
    const layer: LayerSpec = {
      attention: {
        variant: 'mha',
        config: { dim, heads, headDim, bias, outBias: bias },
        position: ropeFromConfig(c, headDim, maxPositions, {
          partial: c.number('rotary_pct', 0.25),
          theta: c.number('rotary_emb_base', 10000),
        }),
        mask: { kind: 'causal' },
      },
      mlp: { kind: 'plain', hidden: c.count('intermediate_size', 24576), bias: true, activation: c.activation('hidden_act', 'gelu') },
      ...(c.flag('use_parallel_residual', true) ? { parallel: 'own' } : {}),
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'gpt_neox',
      vocab: c.count('vocab_size', 50432),
      dim,
      norm: { kind: 'layer', eps: c.number('layer_norm_eps', 1e-5, 0), bias: true },
      tied: c.flag('tie_word_embeddings', false),
      maxPositions,
      layers: new Array(c.count('num_hidden_layers', 44)).fill(layer),
    }
    c.finish()
    return spec
  },
  layout({ layers: [{ attention }] }) {
    const { heads, headDim } = attention.config as { heads: number; headDim: number }
    const at = 'gpt_neox.layers.{i}'
    const own = ['q', 'k', 'v'].map(x => `layers.{i}.attention.${x}`)
    return layout([
      same('gpt_neox.embed_in', 'embed'),
      same('embed_out', 'head'),
      ...normRules('gpt_neox.final_layer_norm', 'norm'),
      ...normRules(`${at}.input_layernorm`, 'layers.{i}.attentionNorm'),
      ...normRules(`${at}.post_attention_layernorm`, 'layers.{i}.mlpNorm'),
      // Each head's query, key and value lie together.
      ...['weight', 'bias'].map(part =>
        rule(
          `${at}.attention.query_key_value.${part}`,
          own.map(x => `${x}.${part}`),
          split(0, [headDim, headDim, headDim], heads),
        ),
      ),
      same(`${at}.attention.dense`, 'layers.{i}.attention.o'),
      same(`${at}.mlp.dense_h_to_4h`, 'layers.{i}.mlp.up'),
      same(`${at}.mlp.dense_4h_to_h`, 'layers.{i}.mlp.down'),
      ignore('embed_out.weight', 'the head is the embedding table where the config ties them'),
      ...['attention.bias', 'attention.masked_bias', 'attention.rotary_emb.inv_freq'].map(x =>
        ignore(`${at}.${x}`, 'computed from the config'),
      ),
    ])
  },
}
