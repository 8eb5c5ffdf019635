import { oracle } from '../oracle.mjs'

/** @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Lab} lab */
export async function check(t, lab) {
  const { input_ids, one_window, windows_512 } = oracle('perplexity.json.gz')
  const model = await lab.load()
  for (const [name, want, window] of [
    ['one window of 4096', one_window, 4096],
    ['eight windows of 512', windows_512, 512],
  ]) {
    const { perplexity, nll, tokens } = await model.perplexity(input_ids, { window })
    t.equal(`${name}: tokens scored`, tokens, want.n_scored)
    t.equal(`${name}: perplexity, 4 digits`, digits(perplexity), digits(want.ppl))
    t.note(`${name}: difference of the mean loss`, Math.abs(nll - want.nll_mean), ' nats')
    t.samples[name] = { perplexity, nll, want: want.ppl }
  }
}

/** @param {number} x */
const digits = x => Number(x.toPrecision(4))
