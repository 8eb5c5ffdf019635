import { ignore, rule } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, normRules, same } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** Phi-1, Phi-1.5 and Phi-2: attention and feed-forward side by side behind one norm, partly rotary heads, biases everywhere. https://arxiv.org/abs/2309.05463 */
export const phi: ModelDefinition = {
  type: 'phi',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout', 'embd_pdrop', 'resid_pdrop') // training
    const counts = headCounts(c, { dim: 2048, heads: 32 })
    const maxPositions = c.count('max_position_embeddings', 2048)
    const norm = { kind: 'layer', eps: c.number('layer_norm_eps', 1e-5, 0), bias: true } as const
    const qkNorm = c.flag('qk_layernorm', false) ? { qkNorm: norm } : {}
    const layer: LayerSpec = {
      attention: {
        ...headsAttention(counts, { bias: true, outBias: true, ...qkNorm }),
        position: ropeFromConfig(c, counts.headDim, maxPositions, { partial: 0.5 }),
        mask: { kind: 'causal' },
      },
      mlp: { kind: 'plain', hidden: c.count('intermediate_size', 8192), bias: true, activation: c.activation('hidden_act', 'gelu_new') },
      parallel: 'shared',
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'phi',
      vocab: c.count('vocab_size', 51200),
      dim: counts.dim,
      norm,
      tied: c.flag('tie_word_embeddings', false),
      headBias: true,
      maxPositions,
      layers: new Array(c.count('num_hidden_layers', 24)).fill(layer),
    }
    c.finish()
    return spec
  },
  layout({ tied }) {
    const [file, param] = ['model.layers.{i}', 'layers.{i}']
    return decoderLayout([
      same('model.embed_tokens', 'embed'),
      ...normRules('model.final_layernorm', 'norm'),
      tied ? rule('lm_head.bias', 'headBias.weight') : same('lm_head', 'head'),
      ignore('lm_head.weight', 'the head is the embedding table where the config ties them'),
      ...normRules(`${file}.input_layernorm`, `${param}.attentionNorm`),
      ...['q', 'k', 'v'].map(x => same(`${file}.self_attn.${x}_proj`, `${param}.attention.${x}`)),
      same(`${file}.self_attn.dense`, `${param}.attention.o`),
      ...['q', 'k'].flatMap(x => normRules(`${file}.self_attn.${x}_layernorm`, `${param}.attention.${x}Norm`)),
      same(`${file}.mlp.fc1`, `${param}.mlp.up`),
      same(`${file}.mlp.fc2`, `${param}.mlp.down`),
      ignore(`${file}.self_attn.rotary_emb.inv_freq`, 'computed from the config'),
    ])
  },
}
