import { AttuneError, type Binding, type Launch, type Length, type Param, type Program } from '@attune/tensor'

/** A program as native code reads it (native/program.h), and what must hold of the slots bound at a run. */
export interface Encoded {
  readonly code: Float64Array
  readonly constants: Uint8Array
  readonly slots: readonly SlotUse[]
  /** Bytes of scratch each thread needs. */
  readonly scratch: number
}
export interface SlotUse {
  /** Bytes from the slot's start that launches may touch; 0: never used. */
  readonly extent: number
  readonly written: boolean
}

const maxBindings = 32
const maxParams = 112

/** Encodes a program for kernels numbered by `kernels`. Throws ERR_UNSUPPORTED for what this device cannot launch. */
export function encode(program: Program, kernels: ReadonlyMap<string, number>): Encoded {
  const slots = Array.from({ length: program.slots }, () => ({ extent: 0, written: false }))
  const lengths = new Map(program.lengths.map((l, i) => [l, i]))
  const constants = new Constants()
  const code: number[] = [program.launches.length]
  let scratch = 0
  for (const launch of program.launches) {
    check(launch)
    code.push(kernelOf(launch, kernels), launch.bind.length, launch.params.length)
    for (const b of launch.bind) code.push(...bindingOf(b, launch, slots, constants))
    for (const p of launch.params) code.push(...paramOf(p, launch, lengths))
    scratch = Math.max(scratch, launch.threadScratch)
  }
  return { code: Float64Array.from(code), constants: constants.bytes(), slots, scratch: roundUp(scratch) }
}

/** The next multiple of a cache line. */
export const roundUp = (bytes: number): number => Math.ceil(bytes / 64) * 64

function check({ bind, params, op, text, threadScratch }: Launch): void {
  if (bind.length > maxBindings || params.length > maxParams)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `'${text}' of '${op}' has ${bind.length} bindings and ${params.length} parameters; at most ${maxBindings} and ${maxParams}`,
      { op, kernel: text },
    )
  if (!Number.isSafeInteger(threadScratch) || threadScratch < 0)
    throw new AttuneError('ERR_ARGUMENT', `'${text}' of '${op}' asks for ${threadScratch} bytes of scratch`, { op, kernel: text })
}

function kernelOf({ text, op }: Launch, kernels: ReadonlyMap<string, number>): number {
  const index = kernels.get(text)
  if (index === undefined)
    throw new AttuneError('ERR_UNSUPPORTED', `the CPU device has no kernel '${text}' for '${op}' in this build`, { op, kernel: text })
  return index
}

function bindingOf(b: Binding, { op, text }: Launch, slots: { extent: number; written: boolean }[], constants: Constants): number[] {
  if ('none' in b) return [-1, 0]
  if ('data' in b) return [-2, constants.add(b.data)]
  const use = slots[b.slot]
  if (!use || !(b.offset >= 0 && b.bytes >= 0 && Number.isSafeInteger(b.offset + b.bytes)))
    throw new AttuneError(
      'ERR_ARGUMENT',
      `'${text}' of '${op}' binds ${b.bytes} bytes at ${b.offset} of slot ${b.slot}; there are ${slots.length} slots`,
      { op, kernel: text, slot: b.slot, offset: b.offset, bytes: b.bytes },
    )
  use.extent = Math.max(use.extent, b.offset + b.bytes)
  use.written ||= b.write
  return [b.slot, b.offset]
}

function paramOf(p: Param, { op, text }: Launch, lengths: ReadonlyMap<Length, number>): number[] {
  if (typeof p === 'object' && 'f32' in p) return [-1, p.f32]
  const dims = typeof p === 'object' && 'product' in p ? p.product : [p]
  let value = 1
  const at: number[] = []
  for (const d of dims) {
    if (typeof d === 'number') {
      value *= d
      continue
    }
    const index = lengths.get(d)
    if (index === undefined)
      throw new AttuneError('ERR_ARGUMENT', `'${text}' of '${op}' uses length '${d.name}', which the program does not list`, {
        op,
        length: d.name,
      })
    at.push(index)
  }
  if (!Number.isSafeInteger(value))
    throw new AttuneError('ERR_ARGUMENT', `'${text}' of '${op}' has the integer parameter ${value}`, { op, kernel: text, value })
  return [at.length, value, ...at]
}

/** The programs' constant bytes, each once and on its own cache line. */
class Constants {
  readonly #parts: { at: number; data: Uint8Array }[] = []
  readonly #known = new Map<Uint8Array, number>()
  #size = 0

  add(data: Uint8Array): number {
    const known = this.#known.get(data)
    if (known !== undefined) return known
    const at = this.#size
    this.#parts.push({ at, data })
    this.#known.set(data, at)
    this.#size = roundUp(at + data.byteLength)
    return at
  }
  bytes(): Uint8Array {
    const out = new Uint8Array(this.#size)
    for (const { at, data } of this.#parts) out.set(data, at)
    return out
  }
}
