import { loadTokenizer } from '@attune/generate'
import { oracle } from '../oracle.mjs'

/** Ids and text of every case equal the `tokenizers` library's. @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Lab} lab */
export async function check(t, lab) {
  const tokenizer = loadTokenizer(await lab.checkpoint())
  const cases = oracle('tokenizer_cases.json')
  const wrong = cases.filter(
    (/** @type {{ text: string, ids: number[], decoded: string }} */ c) =>
      tokenizer.encode(c.text).join() !== c.ids.join() || tokenizer.decode(c.ids, { special: true }) !== c.decoded,
  )
  t.equal('cases that differ', wrong.length, 0)
  t.note('cases', cases.length)
  t.samples.wrong = wrong
}
