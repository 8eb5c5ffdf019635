import { layout, rule } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { computed, headOf, normRules, same, under } from './file-names.ts'
import { GPT_ALIASES, gptCounts } from './gpt-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** GPT-J: attention and feed-forward read one norm side by side; pairs beside each other turn in part of a head. https://arankomatsuzaki.wordpress.com/2021/06/04/gpt-j */
export const gptj: ModelDefinition = {
  type: 'gptj',
  spec(json) {
    const c = new ConfigReader(json, { aliases: GPT_ALIASES })
    // Older configs say what models of this type always do.
    c.only('rotary', true)
    c.only('scale_attn_weights', true)
    const { dim, heads, headDim, layers, positions, hidden } = gptCounts(c, { dim: 4096, heads: 16, layers: 28, positions: 2048 })
    const turned = c.count('rotary_dim', 64)
    if (turned % 2 !== 0 || turned > headDim) throw c.wrong('rotary_dim', `an even number up to a head's width (${headDim})`, turned)
    const layer: LayerSpec = {
      attention: {
        variant: 'mha',
        config: { dim, heads, headDim },
        position: { kind: 'rope', dims: turned, theta: 10000, pairing: 'interleaved', maxPositions: positions },
        mask: { kind: 'causal' },
      },
      mlp: { kind: 'plain', hidden, bias: true, activation: c.activation('activation_function', 'gelu_new') },
      parallel: 'shared',
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'gptj',
      vocab: c.count('vocab_size', 50400),
      dim,
      norm: { kind: 'layer', eps: c.number('layer_norm_epsilon', 1e-5, 0), bias: true },
      tied: c.flag('tie_word_embeddings', false),
      headBias: true,
      maxPositions: positions,
      layers: new Array(layers).fill(layer),
    }
    c.finish()
    return spec
  },
  layout: ({ tied }) =>
    layout([
      ...under('transformer.', at => [
        same(`${at}wte`, 'embed'),
        ...normRules(`${at}ln_f`, 'norm'),
        ...normRules(`${at}h.{i}.ln_1`, 'layers.{i}.attentionNorm'),
        ...Object.entries({ q: 'q', k: 'k', v: 'v', o: 'out' }).map(([own, theirs]) =>
          same(`${at}h.{i}.attn.${theirs}_proj`, `layers.{i}.attention.${own}`),
        ),
        same(`${at}h.{i}.mlp.fc_in`, 'layers.{i}.mlp.up'),
        same(`${at}h.{i}.mlp.fc_out`, 'layers.{i}.mlp.down'),
        ...computed(`${at}h.{i}.attn.bias`, `${at}h.{i}.attn.masked_bias`, `${at}h.{i}.attn.embed_positions`),
      ]),
      ...(tied ? [rule('lm_head.bias', 'headBias.weight')] : []),
      ...headOf('lm_head'),
    ]),
}
