import { layout } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { headOf, normRules, same, under } from './file-names.ts'
import { headWidth } from './heads-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** OPT and Galactica: learned positions from the third row on; the 350M model norms after blocks and has narrow embeddings. https://arxiv.org/abs/2205.01068 */
export const opt: ModelDefinition = {
  type: 'opt',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('dropout', 'attention_dropout', 'activation_dropout', 'layerdrop', 'init_std') // training
    c.only('learned_embeddings', true)
    c.only('scale_embeddings', false)
    const dim = c.count('hidden_size', 768)
    const heads = c.count('num_attention_heads', 12)
    const positions = c.count('max_position_embeddings', 2048)
    const bias = c.flag('enable_bias', true)
    const before = c.flag('do_layer_norm_before', true)
    const width = c.optionalCount('word_embed_proj_dim', dim) ?? dim
    const place = before ? {} : ({ norm: 'stream' } as const)
    const layer: LayerSpec = {
      attention: {
        variant: 'mha',
        config: { dim, heads, headDim: headWidth(c, 'num_attention_heads', dim, heads), bias, outBias: bias },
        position: { kind: 'none' },
        mask: { kind: 'causal' },
        ...place,
      },
      mlp: { kind: 'plain', hidden: c.count('ffn_dim', 3072), bias, activation: c.activation('activation_function', 'relu'), ...place },
    }
    const affine = c.flag('layer_norm_elementwise_affine', true)
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'opt',
      vocab: c.count('vocab_size', 50272),
      dim,
      embed: { ...(width === dim ? {} : { width }), positions: { rows: positions + 2, first: 2 } },
      norm: { kind: 'layer', eps: 1e-5, bias: affine, ...(affine ? {} : { gain: false }) },
      finalNorm: !c.flag('_remove_final_layer_norm', false) && before,
      tied: c.flag('tie_word_embeddings', true),
      maxPositions: positions,
      layers: new Array(c.count('num_hidden_layers', 12)).fill(layer),
    }
    c.finish()
    return spec
  },
  layout: () =>
    layout([
      ...under('model.', start => {
        const at = `${start}decoder.`
        return [
          same(`${at}embed_tokens`, 'embed'),
          same(`${at}embed_positions`, 'embedding.positions'),
          same(`${at}project_in`, 'embedding.in'),
          same(`${at}project_out`, 'embedding.out'),
          ...normRules(`${at}final_layer_norm`, 'norm'),
          ...normRules(`${at}layers.{i}.self_attn_layer_norm`, 'layers.{i}.attentionNorm'),
          ...normRules(`${at}layers.{i}.final_layer_norm`, 'layers.{i}.mlpNorm'),
          ...Object.entries({ q: 'q', k: 'k', v: 'v', o: 'out' }).map(([own, theirs]) =>
            same(`${at}layers.{i}.self_attn.${theirs}_proj`, `layers.{i}.attention.${own}`),
          ),
          same(`${at}layers.{i}.fc1`, 'layers.{i}.mlp.up'),
          same(`${at}layers.{i}.fc2`, 'layers.{i}.mlp.down'),
        ]
      }),
      ...headOf('lm_head'),
    ]),
}
