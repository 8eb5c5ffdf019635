import type { OutputFile } from '@attune/weights'
import type { WorkFolder } from '../src/index.ts'

/** A working folder that says before, in the middle of, and after everything that is written to it. */
export function watchedWork(work: WorkFolder, moment: (what: string) => Promise<void> | void): WorkFolder {
  const create = (where: WorkFolder['parts']) => async (file: string) => {
    await moment(`create ${file}`)
    const out = await where.create(file)
    return {
      async write(bytes) {
        const half = bytes.length >> 1
        await out.write(bytes.subarray(0, half))
        await moment(`in the middle of ${file}`)
        await out.write(bytes.subarray(half))
      },
      async finish() {
        await moment(`before the end of ${file}`)
        await out.finish()
        await moment(`after ${file}`)
      },
    } satisfies OutputFile
  }
  return {
    ...work,
    async append(line) {
      await moment('before a line of the journal')
      await work.append(line)
      await moment('after a line of the journal')
    },
    parts: { create: create(work.parts) },
    result: {
      create: create(work.result),
      async commit() {
        await moment('before the commit')
        await work.result.commit()
        await moment('after the commit')
      },
      discard: () => work.result.discard(),
    },
    async stream(state) {
      const stream = await work.stream(state)
      return {
        ...stream,
        async put(window, values) {
          await moment(`put ${window}`)
          await stream.put(window, values)
        },
        async turn() {
          await moment('before a turn')
          await stream.turn()
          await moment('after a turn')
        },
      }
    },
  }
}
