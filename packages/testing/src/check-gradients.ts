import type { Variant } from '@attune/attention'
import { type ParamValue, tensorOf, underPrefix } from '@attune/nn'
import { Constant, grad, mapWith, matmulOf, read, readAll, reference, sum, type Tensor, tensor } from '@attune/tensor'
import { expect, it } from 'vitest'
import { type AloneOptions, layerAlone } from './layer-alone.ts'
import { randomSource } from './random.ts'
import { tinyModel } from './tiny-model.ts'

const N = 5

/** Gradients of a random projection of the output, by every parameter, against central differences. */
export function checkGradients(variant: Variant, config: Record<string, unknown>, options?: AloneOptions): void {
  it('has the gradients that finite differences give', async () => {
    const device = reference()
    const values = underPrefix(tinyModel(variant, config).values, 'layers.0.attention')
    const weights = [...values].flatMap(([path, v]) => [
      [path, 'weight', v.weight] as const,
      ...(v.bias ? [[path, 'bias', v.bias] as const] : []),
    ])
    const loss = lossOf(variant, config, values, options)
    const gradients = await readAll(
      Object.fromEntries(
        grad(
          loss,
          weights.map(([, , c]) => tensorOf(c)),
        ).map((g, i) => [String(i), g]),
      ),
      device,
    )
    const r = randomSource(5)
    for (const [i, [path, part, constant]] of weights.entries()) {
      const data = new Float32Array((await constant.bytes()).slice().buffer)
      for (let trial = 0; trial < 2; trial++) {
        const at = r.integer(data.length)
        const step = 0.02
        const moved = async (by: number): Promise<number> => {
          const changed = data.slice()
          changed[at] += by
          const c = new Constant('f32', constant.shape, new Uint8Array(changed.buffer))
          const next = new Map(values).set(path, { ...values.get(path)!, [part]: c } as ParamValue)
          return (await read(lossOf(variant, config, next, options), device)).data[0]
        }
        const slope = ((await moved(step)) - (await moved(-step))) / (2 * step)
        const own = gradients[String(i)].data[at]
        expect(Math.abs(own - slope), `d/d ${path}.${part}[${at}]: ${own} against ${slope}`).toBeLessThan(2e-3 + 1e-2 * Math.abs(slope))
      }
    }
  })
}

function lossOf(
  variant: Variant,
  config: Record<string, unknown>,
  values: ReadonlyMap<string, ParamValue>,
  options?: AloneOptions,
): Tensor {
  const dim = config.dim as number
  const r = randomSource(9)
  const random = (shape: number[]): Tensor =>
    tensor(
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => r.normal()),
      shape,
    )
  const out = layerAlone(variant, config, values, random([N, dim]), options)
  const projected = mapWith((a, b) => a.mul(b), [out, random([N, dim])])
  return sum(sum(matmulOf(projected, random([dim, 3]))))
}
