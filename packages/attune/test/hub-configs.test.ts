import { decoderParams, encoderParams } from '@attune/models'
import { countParams } from '@attune/nn'
import { describe, expect, it } from 'vitest'
import configs from '../../models/test/hub-configs.json' with { type: 'json' }
import counts from '../../models/test/hub-parameters.json' with { type: 'json' }
import { attention, models } from '../src/index.ts'

const variants = new Map(attention.map(v => [v.name, v]))

/** config.json as it is published; internal/oracles/hub-configs.py counts transformers' parameters. */
describe('published configs', () => {
  it.each(Object.entries(configs))('%s has the parameters that transformers counts', (name, config) => {
    const definition = models.find(m => m.type === config.model_type)!
    const spec = definition.spec(config)
    const tree = spec.kind === 'encoder' ? encoderParams(spec, variants) : decoderParams(spec, variants)
    expect(countParams(tree)).toBe(counts[name as keyof typeof counts])
  })
})
