import { expect, it } from 'vitest'
import { ropeFrequencies } from './index.ts'
import cases from './rope-oracle.json' with { type: 'json' }

/** `rope-oracle.json`: ROPE_INIT_FUNCTIONS of transformers 5.23 (inverse frequencies and attention factor), float32. */
it.each(cases.map(c => [`${c.scaling.type}, ${c.dims} dims, span ${c.span}: ${JSON.stringify(c.scaling)}`, c] as const))(
  '%s',
  (_name, c) => {
    const { values, factor } = ropeFrequencies(
      { kind: 'rope', pairing: 'half', dims: c.dims, theta: c.theta, maxPositions: c.maxPositions, scaling: c.scaling },
      c.span,
    )
    expect(values.length).toBe(c.values.length)
    values.forEach((x, i) => expect(Math.abs(x - c.values[i]) / c.values[i]).toBeLessThan(1e-6))
    expect(factor).toBeCloseTo(c.factor, 6)
  },
)
