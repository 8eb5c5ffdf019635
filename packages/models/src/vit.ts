import type { GridSize } from '@attune/position'
import { AttuneError } from '@attune/tensor'
import { ignore, layout, type Rule, reshape, rule } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { EncoderDefinition, TensorNames } from './definition.ts'
import { architectureOf, labelCount } from './encoder-class.ts'
import type { EncoderHeadSpec } from './encoder-head.ts'
import type { EncoderSpec } from './encoder-spec.ts'
import { normRules, same } from './file-names.ts'
import { wholeHeads } from './heads-config.ts'

/** Vision transformer: a class token and patches of an image. Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929 */
export const vit: EncoderDefinition = {
  kind: 'encoder',
  type: 'vit',
  spec(json, tensors) {
    const c = new ConfigReader(json)
    c.ignore('hidden_dropout_prob', 'attention_probs_dropout_prob') // training
    c.ignore('encoder_stride') // of masked image modelling only
    const { dim, heads, headDim } = wholeHeads(c, { dim: 768, heads: 12 })
    const patch = sizeOf(c, 'patch_size', 16)
    const image = sizeOf(c, 'image_size', 224)
    if (image[0] < patch[0] || image[1] < patch[1]) throw c.wrong('image_size', `at least patch_size (${patch.join(' × ')})`, image)
    const layer: EncoderSpec['layers'][number] = {
      attention: {
        variant: 'mha',
        config: { dim, heads, headDim, bias: c.flag('qkv_bias', true), outBias: true },
        position: { kind: 'none' },
        mask: { kind: 'full' },
      },
      mlp: { kind: 'plain', hidden: c.count('intermediate_size', 3072), bias: true, activation: c.activation('hidden_act', 'gelu') },
    }
    const spec: EncoderSpec = {
      kind: 'encoder',
      type: 'vit',
      dim,
      norm: { kind: 'layer', eps: c.number('layer_norm_eps', 1e-12, 0), bias: true },
      input: {
        kind: 'patches',
        channels: c.count('num_channels', 3),
        patch,
        grid: [Math.floor(image[0] / patch[0]), Math.floor(image[1] / patch[1])],
      },
      layers: new Array(c.count('num_hidden_layers', 12)).fill(layer),
      head: headOf(c, dim, tensors),
      lastHidden: 'stream',
    }
    c.finish()
    return spec
  },
  layout(spec) {
    const { dim, input } = spec
    if (input.kind !== 'patches') throw new AttuneError('ERR_ARGUMENT', 'a vit reads patches', {})
    const { channels, patch, grid } = input
    const places = 1 + grid[0] * grid[1]
    const size = channels * patch[0] * patch[1]
    const pooled = spec.head?.gives === 'pooled'
    // A model without a classifier is saved without the prefix.
    return layout([
      ...['vit.', ''].flatMap(prefix => [
        rule(`${prefix}embeddings.cls_token`, 'input.first.weight', reshape([1, 1, dim], [dim])),
        rule(`${prefix}embeddings.position_embeddings`, 'input.positions.weight', reshape([1, places, dim], [places, dim])),
        rule(
          `${prefix}embeddings.patch_embeddings.projection.weight`,
          'input.patch.weight',
          reshape([dim, channels, ...patch], [dim, size]),
        ),
        rule(`${prefix}embeddings.patch_embeddings.projection.bias`, 'input.patch.bias'),
        ...layerRules(`${prefix}encoder.layer.{i}`),
        ...normRules(`${prefix}layernorm`, 'norm'),
        ignore(`${prefix}embeddings.mask_token`, 'of masked image modelling only'),
        ...(pooled ? [same(`${prefix}pooler.dense`, 'head')] : []),
        ignore(`${prefix}pooler.dense.weight`, 'the classifier reads the class token itself'),
        ignore(`${prefix}pooler.dense.bias`, 'the classifier reads the class token itself'),
      ]),
      ...(pooled ? [] : [same('classifier', 'head')]),
    ])
  },
}

const layerRules = (file: string): Rule[] => [
  ...Object.entries({ query: 'q', key: 'k', value: 'v' }).map(([theirs, own]) =>
    same(`${file}.attention.attention.${theirs}`, `layers.{i}.attention.${own}`),
  ),
  same(`${file}.attention.output.dense`, 'layers.{i}.attention.o'),
  same(`${file}.intermediate.dense`, 'layers.{i}.mlp.up'),
  same(`${file}.output.dense`, 'layers.{i}.mlp.down'),
  ...normRules(`${file}.layernorm_before`, 'layers.{i}.attentionNorm'),
  ...normRules(`${file}.layernorm_after`, 'layers.{i}.mlpNorm'),
]

/** One number for both, or height and width. */
function sizeOf(c: ConfigReader, key: string, otherwise: number): GridSize {
  const given = c.raw(key) ?? otherwise
  const size = Array.isArray(given) ? given : [given, given]
  if (size.length !== 2 || !size.every(x => Number.isInteger(x) && x > 0 && x < 2 ** 16))
    throw c.wrong(key, 'a positive integer or two', given)
  return [size[0], size[1]]
}

/** A classifier, or the pooler of a bare model, by the class the files were saved from. */
function headOf(c: ConfigReader, dim: number, tensors?: TensorNames): EncoderHeadSpec | undefined {
  const type = architectureOf(c, ['ViTForImageClassification', 'ViTModel'], 'ViTForImageClassification')
  const pooler = { size: c.optionalCount('pooler_output_size', dim) ?? dim, activation: c.text('pooler_act', 'tanh') }
  const labels = labelCount(c)
  switch (type) {
    case 'ViTForImageClassification':
      return { gives: 'logits', of: 'first', size: labels }
    case 'ViTModel': {
      const bare = tensors && !tensors.has('pooler.dense.weight') && !tensors.has('vit.pooler.dense.weight')
      return bare ? undefined : { gives: 'pooled', of: 'first', ...pooler }
    }
  }
}
