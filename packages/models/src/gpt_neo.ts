import { layout } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { computed, headOf, normRules, same, under } from './file-names.ts'
import { headWidth } from './heads-config.ts'
import type { DecoderSpec } from './spec.ts'

const KINDS = ['global', 'local'] as const

/** GPT-Neo: every second layer sees a window; scores are not scaled. https://doi.org/10.5281/zenodo.5297715 */
export const gptNeo: ModelDefinition = {
  type: 'gpt_neo',
  spec(json) {
    const c = new ConfigReader(json, { aliases: { num_attention_heads: 'num_heads', num_hidden_layers: 'num_layers' } })
    c.ignore('attention_dropout', 'embed_dropout', 'resid_dropout', 'classifier_dropout', 'gradient_checkpointing') // training
    c.ignore('summary_type', 'summary_use_proj', 'summary_activation', 'summary_proj_to_labels', 'summary_first_dropout') // other tasks
    const dim = c.count('hidden_size', 2048)
    const heads = c.count('num_heads', 16)
    const layers = c.count('num_layers', 24)
    const positions = c.count('max_position_embeddings', 2048)
    const window = c.count('window_size', 256)
    const config = { dim, heads, headDim: headWidth(c, 'num_heads', dim, heads), outBias: true, scale: 1 }
    const hidden = c.optionalCount('intermediate_size', 4 * dim) ?? 4 * dim
    const mlp = { kind: 'plain', hidden, bias: true, activation: c.activation('activation_function', 'gelu_new') } as const
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'gpt_neo',
      vocab: c.count('vocab_size', 50257),
      dim,
      embed: { positions: { rows: positions, first: 0 } },
      norm: { kind: 'layer', eps: c.number('layer_norm_epsilon', 1e-5, 0), bias: true },
      tied: c.flag('tie_word_embeddings', true),
      maxPositions: positions,
      layers: layerKinds(c, layers).map(kind => ({
        attention: {
          variant: 'mha',
          config,
          position: { kind: 'none' },
          mask: kind === 'local' ? { kind: 'window', size: window } : { kind: 'causal' },
        },
        mlp,
      })),
    }
    c.finish()
    return spec
  },
  layout: () =>
    layout([
      ...under('transformer.', at => [
        same(`${at}wte`, 'embed'),
        same(`${at}wpe`, 'embedding.positions'),
        ...normRules(`${at}ln_f`, 'norm'),
        ...normRules(`${at}h.{i}.ln_1`, 'layers.{i}.attentionNorm'),
        ...normRules(`${at}h.{i}.ln_2`, 'layers.{i}.mlpNorm'),
        ...Object.entries({ q: 'q', k: 'k', v: 'v', o: 'out' }).map(([own, theirs]) =>
          same(`${at}h.{i}.attn.attention.${theirs}_proj`, `layers.{i}.attention.${own}`),
        ),
        same(`${at}h.{i}.mlp.c_fc`, 'layers.{i}.mlp.up'),
        same(`${at}h.{i}.mlp.c_proj`, 'layers.{i}.mlp.down'),
        ...computed(`${at}h.{i}.attn.attention.bias`, `${at}h.{i}.attn.attention.masked_bias`),
      ]),
      ...headOf('lm_head'),
    ]),
}

/** `attention_layers`, a word per layer, or `attention_types`: words and how often they are repeated. */
function layerKinds(c: ConfigReader, layers: number): (typeof KINDS)[number][] {
  const types = c.raw('attention_types')
  const repeated = types === undefined && c.json.attention_layers ? undefined : expanded(c, types ?? [[['global', 'local'], 12]], layers)
  const kinds = c.layerTypes('attention_layers', layers, KINDS, i => repeated![i])
  if (repeated?.some((kind, i) => kind !== kinds[i])) throw c.wrong('attention_layers', "what 'attention_types' says", kinds)
  return kinds
}

function expanded(c: ConfigReader, types: unknown, layers: number): (typeof KINDS)[number][] {
  const wrong = () =>
    c.wrong('attention_types', `[[kinds, times], …] for ${layers} layers (num_layers), kinds being ${KINDS.join(', ')}`, types)
  if (!Array.isArray(types)) throw wrong()
  const kinds = types.flatMap(item => {
    const [words, times] = Array.isArray(item) ? item : []
    if (!Array.isArray(words) || !words.every(w => KINDS.includes(w)) || !Number.isInteger(times) || times < 0 || times > layers)
      throw wrong()
    return new Array(times).fill(words).flat()
  })
  if (kinds.length !== layers) throw wrong()
  return kinds
}
