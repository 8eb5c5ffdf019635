import { describe, expect, it } from 'vitest'
import type { ModelDefinition } from '../src/index.ts'

type Config = Record<string, unknown>
/** Model types, each with values that it cannot have, by key. */
export type Refused = readonly (readonly [ModelDefinition, Config])[]

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
      const spec = definition.spec(filled)
      const [{ files }] = definition.layout(spec).save(['embed.weight'])
      expect(definition.layout(spec).load(files, { params: ['embed.weight'] }).length).toBe(1)
      expect(() => definition.layout(spec).load(['surprise.weight'])).toThrow(expect.objectContaining({ code: 'ERR_UNSUPPORTED' }))
    })
  })
}
