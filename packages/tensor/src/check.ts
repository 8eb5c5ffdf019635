import { AttuneError } from '@attune/expr'
import type { Device, Executable, Program, RunOptions, SlotView } from './device.ts'
import { bytesOf, isFloat } from './dtype.ts'
import { readDense } from './host-loops.ts'
import type { Made, Storage } from './lower.ts'
import { elements, type LengthValues, showShape } from './shape.ts'
import type { Tensor } from './tensor.ts'

/** A program that runs op by op and looks at each op's results: throws ERR_NAN for the first that holds NaN. */
export async function checked(device: Device, { launches, ...program }: Program, made: readonly Made[]): Promise<Executable> {
  const parts: { run: Executable; made: Made }[] = []
  for (const [i, m] of made.entries())
    parts.push({ run: await device.load({ ...program, launches: launches.slice(made[i - 1]?.launches ?? 0, m.launches) }), made: m })
  return {
    async run(lengths: readonly number[], slots: readonly SlotView[], { signal }: RunOptions = {}) {
      const n: LengthValues = new Map(program.lengths.map((l, i) => [l, lengths[i]]))
      for (const part of parts) {
        await part.run.run(lengths, slots, { signal })
        await look(device, part.made, slots, n)
      }
    },
    dispose() {
      for (const part of parts) part.run.dispose()
    },
  }
}

async function look(device: Device, { node, outputs }: Made, slots: readonly SlotView[], n: LengthValues): Promise<void> {
  for (const [i, storage] of outputs.entries()) {
    const t = node.outputs[i]
    // What an op updates in place may hold anything where it did not write.
    if (!isFloat(t.dtype) || node.op!.alias?.[i] !== undefined) continue
    const { data } = readDense(t, await bytesAt(device, storage, t, slots), n)
    const at = (data as Float32Array).findIndex(x => Number.isNaN(x))
    if (at < 0) continue
    const inputs = node.inputs.map(x => showShape(x.shape)).join(', ')
    throw new AttuneError('ERR_NAN', `'${node.op!.name}' of ${inputs} gives NaN in output ${i} ${showShape(t.shape)}, element ${at}`, {
      op: node.op!.name,
      output: i,
      element: at,
    })
  }
}

async function bytesAt(device: Device, { slot, life }: Storage, t: Tensor, slots: readonly SlotView[]): Promise<Uint8Array> {
  const { buffer, offset } = slots[slot]
  const raw = await device.read(buffer, offset + (life?.offset ?? 0), bytesOf(t.dtype, elements(t.shape)))
  return raw.byteOffset % 4 === 0 ? raw : raw.slice()
}
