import { isAbsolute, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gqa, mha, mqa } from '@attune/attention-heads'
import { mla } from '@attune/attention-latent'
import { cpu } from '@attune/backend-cpu'
import { createKit } from '@attune/kit'
import { llama } from '@attune/models'
import { openModel } from '@attune/weights/node'

/** @typedef {import('@attune/kit').LoadedModel} Loaded */
/** @typedef {{ weights?: 'as-stored' | 'f32', threads?: number, chunk?: number } & Pick<import('@attune/kit').LoadModelOptions, 'cache' | 'kv'>} Want */

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Opens devices and models for the suites. */
export class Lab {
  /** Which builds of the kernels ran. @type {unknown[]} */
  builds = []
  /** @type {Map<number | undefined, Promise<import('@attune/kit').Kit>>} */
  #kits = new Map()
  /** @type {Promise<import('@attune/weights').Checkpoint> | undefined} */
  #checkpoint

  /** @param {string} device @param {string} model */
  constructor(device, model) {
    this.device = device
    this.model = model
  }

  checkpoint() {
    this.#checkpoint ??= openModel(this.model)
    return this.#checkpoint
  }
  /** A loaded model: f32 weights on all threads unless asked otherwise. @param {Want} [want] @returns {Promise<Loaded>} */
  async load({ weights = 'f32', threads, ...options } = {}) {
    const kit = await this.#kit(threads)
    return kit.load(await this.checkpoint(), { weights, ...options })
  }
  async close() {
    for (const kit of this.#kits.values()) await (await kit).close()
    await (await this.#checkpoint)?.close()
  }
  /** @param {number} [threads] */
  #kit(threads) {
    let kit = this.#kits.get(threads)
    if (!kit) {
      kit = this.#open(threads)
      this.#kits.set(threads, kit)
    }
    return kit
  }
  /** @param {number} [threads] */
  async #open(threads) {
    const device = await cpu({ threads, backend: this.device === 'wasm' ? 'wasm' : 'native' })
    const { addon, ...doctor } = device.doctor()
    this.builds.push({ name: device.name, ...doctor, addon: addon && isAbsolute(addon) ? relative(root, addon) : addon })
    return createKit({ devices: [device], attention: [mha, gqa, mqa, mla], models: [llama] })
  }
}
