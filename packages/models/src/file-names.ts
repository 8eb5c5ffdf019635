import { type Ignored, ignore, type Layout, layout, type Rule, rule, split, stack, transpose } from '@attune/weights'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** A parameter with a weight and perhaps a bias, under the same words in files. */
export const same = (file: string, param: string): Rule => rule(`${file}.{weight|bias}`, `${param}.{weight|bias}`)

/** A norm with a gain and a bias. */
export const normRules = (file: string, param: string): Rule[] => [
  rule(`${file}.weight`, `${param}.gain.weight`),
  rule(`${file}.bias`, `${param}.bias.weight`),
]

/** A hole for the numbers of the layers that are alike, where a rule is for them alone; undefined where there are none. */
export function layersWhere({ layers }: DecoderSpec, alike: (layer: LayerSpec) => boolean): string | undefined {
  const numbers = layers.flatMap((l, i) => (alike(l) ? [i] : []))
  return numbers.length > 1 ? `{${numbers.join('|')}}` : numbers[0]?.toString()
}

/** Names that decoders of the Llama family share: embedding, head, norms (`normed` says what a norm holds). */
const decoderRulesWith = (normed: (file: string, param: string) => Rule[]): (Rule | Ignored)[] => [
  same('model.embed_tokens', 'embed'),
  ...normed('model.norm', 'norm'),
  same('lm_head', 'head'),
  ignore('lm_head.weight', 'the head is the embedding table where the config ties them'),
  ...normed('model.layers.{i}.input_layernorm', 'layers.{i}.attentionNorm'),
  ...normed('model.layers.{i}.post_attention_layernorm', 'layers.{i}.mlpNorm'),
  ignore('model.layers.{i}.self_attn.rotary_emb.inv_freq', 'computed from the config'),
]
export const decoderRules = decoderRulesWith((file, param) => [same(file, param)])
/** The same where norms have biases. */
export const biasedNormDecoderRules = decoderRulesWith(normRules)
/** A norm after each block. */
export const outputNormRules = [
  same('model.layers.{i}.post_attention_layernorm', 'layers.{i}.attentionOutputNorm'),
  same('model.layers.{i}.post_feedforward_layernorm', 'layers.{i}.mlpOutputNorm'),
]
/** A layout of these names, and of the same without `model.`: so they are in checkpoints of a model without its head. */
export const decoderLayout = (entries: readonly (Rule | Ignored)[]): Layout => layout([...entries, ...entries.flatMap(bare)])

function bare(entry: Rule | Ignored): (Rule | Ignored)[] {
  const [from, own] = [/^model\./, (p: { readonly text: string }) => p.text]
  if ('ignored' in entry) return from.test(entry.ignored.text) ? [ignore(entry.ignored.text.replace(from, ''), entry.why)] : []
  const files = entry.files.map(own)
  return from.test(files[0])
    ? [
        rule(
          files.map(f => f.replace(from, '')),
          entry.params.map(own),
          ...entry.steps,
        ),
      ]
    : []
}

/** Separate projections of queries, keys, values and the output. */
export const headsRules = (at = '{i}'): Rule[] =>
  ['q', 'k', 'v', 'o'].map(x => same(`model.layers.${at}.self_attn.${x}_proj`, `layers.${at}.attention.${x}`))
/** Norms of queries and keys. */
export const qkNormRules = ['q', 'k'].map(x => same(`model.layers.{i}.self_attn.${x}_norm`, `layers.{i}.attention.${x}Norm`))
export const gatedMlpRules = ['gate', 'up', 'down'].map(x => same(`model.layers.{i}.mlp.${x}_proj`, `layers.{i}.mlp.${x}`))

/** Experts that lie in files one by one, under their words for gate, up and down. */
export const expertRules = (file: string, words: Readonly<Record<'gate' | 'up' | 'down', string>>): Rule[] =>
  Object.entries(words).map(([own, theirs]) => rule(`${file}.{e*}.${theirs}.weight`, `layers.{i}.mlp.experts.${own}.weight`, stack()))

/** Names under a prefix that checkpoints of a model without its head leave out. */
export const under = (prefix: string, rules: (at: string) => (Rule | Ignored)[]): (Rule | Ignored)[] => [...rules(prefix), ...rules('')]

/** The output projection, which files may hold though the config ties it. */
export const headOf = (file: string): (Rule | Ignored)[] => [
  same(file, 'head'),
  ignore(`${file}.weight`, 'the head is the embedding table where the config ties them'),
]

/** Buffers that old checkpoints hold. */
export const computed = (...files: string[]): Ignored[] => files.map(file => ignore(file, 'computed from the config'))

/** A projection whose file holds (in, out). */
export const conv1d = (file: string, param: string): Rule[] => [
  rule(`${file}.weight`, `${param}.weight`, transpose()),
  rule(`${file}.bias`, `${param}.bias`),
]

/** Queries, keys and values of these heights in one projection of the file: once, or in each of `groups`. */
export function fused(file: string, heights: readonly number[], { groups = 1, transposed = false } = {}): Rule[] {
  return ['weight', 'bias'].map(part =>
    rule(
      `${file}.${part}`,
      ['q', 'k', 'v'].map(x => `layers.{i}.attention.${x}.${part}`),
      ...(transposed && part === 'weight' ? [transpose()] : []),
      split(0, heights, groups),
    ),
  )
}
/** Mixtures under the names of Qwen: a router, experts one by one or all in one, perhaps a shared one by a gate. */
export function qwenExpertRules({ layers }: DecoderSpec): Rule[] {
  const [file, param] = ['model.layers.{i}.mlp', 'layers.{i}.mlp']
  const hidden = layers.map(({ mlp }) => (mlp.kind === 'moe' ? mlp.hidden : 0))
  return [
    same(`${file}.gate`, `${param}.router`),
    ...expertRules(`${file}.experts`, { gate: 'gate_proj', up: 'up_proj', down: 'down_proj' }),
    ...fusedExpertRules(`${file}.experts`, Math.max(...hidden)),
    ...['gate', 'up', 'down'].map(x => same(`${file}.shared_expert.${x}_proj`, `${param}.shared.${x}`)),
    same(`${file}.shared_expert_gate`, `${param}.sharedGate`),
  ]
}

/** Gate and up of a gated block in one matrix. */
export function fusedMlpRules({ layers: [{ mlp }] }: DecoderSpec): Rule[] {
  const [file, param] = ['model.layers.{i}.mlp', 'layers.{i}.mlp']
  const hidden = mlp.kind === 'gated' ? mlp.hidden : 0
  return [
    rule(`${file}.gate_up_proj.weight`, [`${param}.gate.weight`, `${param}.up.weight`], split(0, [hidden, hidden])),
    same(`${file}.down_proj`, `${param}.down`),
  ]
}

/** All experts of a layer in one tensor (E, 2 · hidden, dim) of gates and then ups, and one of downs. */
export const fusedExpertRules = (file: string, hidden: number): Rule[] => [
  rule(
    `${file}.gate_up_proj`,
    ['gate', 'up'].map(x => `layers.{i}.mlp.experts.${x}.weight`),
    split(1, [hidden, hidden]),
  ),
  rule(`${file}.down_proj`, 'layers.{i}.mlp.experts.down.weight'),
]
