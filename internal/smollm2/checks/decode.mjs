import { oracle } from '../oracle.mjs'

/** 300 decoded tokens: what is recorded, loaded and allocated, and when. @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Lab} lab */
export async function check(t, lab) {
  for (const weights of /** @type {const} */ (['f32', 'as-stored'])) {
    const model = await lab.load({ weights })
    const { runner } = model
    const count = counted(model.device)
    /** @type {{ bucket: string, recorded: number, loaded: number, allocated: number, edge: boolean, id: number }[]} */
    const steps = []
    const prompt = oracle('golden.json.gz').prompts.chat.input_ids
    const session = model.session()
    let last = { ...count, recorded: 0, allocations: 0, bucket: '' }
    for await (const { id } of session.generate(prompt, { maxTokens: 300, endIds: [], temperature: 0.8, topP: 0.95, seed: 1 })) {
      const now = { ...count, recorded: runner.recorded, allocations: runner.allocations, bucket: runner.stateKey }
      steps.push({
        id,
        bucket: now.bucket,
        recorded: now.recorded - last.recorded,
        loaded: now.loaded - last.loaded,
        allocated: now.allocated - last.allocated + now.allocations - last.allocations,
        edge: now.bucket !== last.bucket,
      })
      last = now
    }
    const inside = steps.filter(s => !s.edge)
    const sum = (/** @type {typeof steps} */ list, /** @type {'recorded' | 'loaded' | 'allocated'} */ key) =>
      list.reduce((n, s) => n + s[key], 0)
    t.equal(`${weights}: tokens`, steps.length, 300)
    // The first token's step also counts the prompt's recording.
    t.atMost(`${weights}: decode recordings`, sum(steps.slice(1), 'recorded') + 1, 3)
    t.equal(`${weights}: recordings inside a bucket`, sum(inside, 'recorded'), 0)
    t.equal(`${weights}: programs loaded inside a bucket`, sum(inside, 'loaded'), 0)
    t.equal(`${weights}: allocations inside a bucket`, sum(inside, 'allocated'), 0)
    t.samples[weights] = steps
    await model.dispose()
  }
}

/** Counts what a device is asked for. @param {import('@attune/tensor').Device} device */
function counted(device) {
  const count = { allocated: 0, loaded: 0 }
  const { alloc, load } = device
  device.alloc = bytes => {
    count.allocated++
    return alloc.call(device, bytes)
  }
  device.load = program => {
    count.loaded++
    return load.call(device, program)
  }
  return count
}
