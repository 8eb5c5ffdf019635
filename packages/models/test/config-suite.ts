import { describe, expect, it } from 'vitest'
import type { EncoderDefinition, ModelDefinition } from '../src/index.ts'

type Config = Record<string, unknown>
/** Model types, each with values that it cannot have, by key. */
export type Refused = readonly (readonly [ModelDefinition | EncoderDefinition, Config])[]

/** config.json of model types against what transformers fills in (`oracle`: internal/oracles/model-configs.py). */
export function configSuite(oracle: Readonly<Record<string, unknown>>, refused: Refused): void {
  describe.each(refused)('$type', (definition, wrong) => {
    const { given, filled } = oracle[definition.type] as { given: Config; filled: Config }
    it('takes the values of transformers for keys that a config lacks', () => {
      expect(definition.spec(given)).toEqual(definition.spec(filled))
    })
    it('names a key it does not know', () => {
      expect(() => definition.spec({ ...filled, surprise: 1 })).toThrow(
        expect.objectContaining({ code: 'ERR_UNSUPPORTED', data: expect.objectContaining({ keys: ['surprise'] }) }),
      )
      expect(definition.spec({ ...filled, surprise: null })).toEqual(definition.spec(filled))
    })
    it.each(Object.entries(wrong))('refuses %s %j by name', (key, value) => {
      expect(() => definition.spec({ ...filled, [key]: value })).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/ERR_(UNSUPPORTED|FORMAT)/), message: expect.stringContaining(key) }),
      )
    })
    it('plans files for every parameter it names', () => {
      const layout = definition.layout(definition.spec(filled) as never)
      const param = definition.kind === 'encoder' ? 'layers.0.attention.o.weight' : 'embed.weight'
      const [{ files }] = layout.save([param])
      expect(layout.load(files, { params: [param] }).length).toBe(1)
      expect(() => layout.load(['surprise.weight'])).toThrow(expect.objectContaining({ code: 'ERR_UNSUPPORTED' }))
    })
  })
}
