import type { Storage } from './dtype.ts'
import type { Kernel } from './op.ts'
import type { Dim, Length, LengthValues } from './shape.ts'

/** Memory of one device; opaque to everyone else. */
export interface DeviceBuffer {
  readonly bytes: number
}

export interface Limits {
  /** Largest single allocation, bytes. */
  readonly maxBufferBytes: number
  /** Bindings one launch may have. */
  readonly maxBindings: number
  /** Free-form capabilities kernels may ask for in `why` (`f16`, `subgroups`, `avx2` …). */
  readonly features: ReadonlySet<string>
  readonly threads: number
}

/** An integer parameter (a number, a Length's run-time value, or their product) or a float. */
export type Param = Dim | { readonly product: readonly Dim[] } | { readonly f32: number }
export const f32 = (value: number): Param => ({ f32: value })

/** A dense row-major array as JS reference loops see it, shapes resolved to this run's values. Packed and half types arrive as f32. */
export interface Dense {
  readonly dtype: Storage
  readonly shape: readonly number[]
  readonly data: Float32Array | Int32Array | Uint8Array
}

/** Where a launch finds an operand: a slot bound per run (arena, weight, state, input), or bytes that belong to the program. */
export type Binding =
  | { readonly slot: number; readonly offset: number; readonly bytes: number; readonly write: boolean }
  | { readonly data: Uint8Array }
  | { readonly none: true }

export interface Launch {
  /** Kernel text: a kernel's name for the CPU, shader source for a GPU. */
  readonly text: string
  readonly bind: readonly Binding[]
  readonly params: readonly Param[]
  readonly grid?: (n: LengthValues) => readonly [number, number, number]
  /** Bytes of private scratch per worker thread. */
  readonly threadScratch: number
  /** On a host device: plain loops instead of a kernel. */
  readonly loops?: (read: (binding: number) => Uint8Array, n: LengthValues) => void
  /** Name of the op, for errors and profiles. */
  readonly op: string
}

/** A recorded step: launches in order over numbered slots. Slot 0 is the arena. */
export interface Program {
  readonly launches: readonly Launch[]
  readonly lengths: readonly Length[]
  readonly slots: number
  /** Slots of states whose first axis is a Length: their buffer holds as much as the run says, not the capacity that bindings name. */
  readonly growing?: ReadonlySet<number>
}

export interface SlotView {
  readonly buffer: DeviceBuffer
  readonly offset: number
}

export interface RunOptions {
  readonly signal?: AbortSignal
  /** Fills a per-launch time table in µs when given. */
  readonly profile?: Float64Array
}

/** A program made ready on a device. `run` binds lengths and slots and resolves when the work is done; it never blocks the event loop > 50 ms. */
export interface Executable {
  /** `lengths` in the order of `program.lengths`; one slot view per slot. Rejects with ERR_ABORTED within 100 ms of an abort. */
  run(lengths: readonly number[], slots: readonly SlotView[], options?: RunOptions): Promise<void>
  dispose(): void
}

/** Bytes of a local file. */
export interface FilePlace {
  readonly path: string
  readonly offset: number
  readonly bytes: number
}

/** A device moves bytes and runs launches in order. It knows no shapes, no ops, no variants. */
export interface Device {
  readonly name: string
  readonly limits: Limits
  readonly kernels: readonly Kernel<any>[]
  /** True when the device runs `loops` of primitives itself (the JS reference). */
  readonly host?: boolean
  /** Zero-filled memory, 64-byte aligned. Throws ERR_OOM naming bytes wanted and available. */
  alloc(bytes: number): DeviceBuffer
  free(buffer: DeviceBuffer): void
  /** Bytes that could still be allocated, where the device knows. */
  room?(): number
  /** Read-only memory over a part of a local file, instead of a copy; present where the device was told to work so. */
  readonly maps?: (place: FilePlace) => Promise<DeviceBuffer>
  write(buffer: DeviceBuffer, bytes: Uint8Array, offset?: number): Promise<void>
  read(buffer: DeviceBuffer, offset: number, bytes: number): Promise<Uint8Array>
  load(program: Program): Promise<Executable>
  /** Gives back what the device itself holds (heap, threads) if nothing is allocated; whatever comes next brings it back. */
  rest?(): Promise<void>
  /** Frees everything, joins threads and workers. */
  close(): Promise<void>
}
