const [WIDTH, HEIGHT, LEFT, TOP, BOTTOM] = [860, 360, 64, 34, 46]
const COLORS = ['#2563eb', '#d97706', '#059669']

/**
 * KL divergence and perplexity over bytes of keys and values per token, as a picture.
 * @param {readonly { name: string, kvBytesPerToken: number, meanKl: number, perplexity: number, latent?: number, ropeDim?: number }[]} points
 * @param {{ perplexity: number, kvBytesPerToken: number }} source
 */
export function curve(points, source) {
  const drawn = points.filter(p => p.latent !== undefined)
  const names = [...new Set(drawn.map(p => p.name))]
  const panel = (/** @type {'meanKl' | 'perplexity'} */ key, /** @type {string} */ title, /** @type {number} */ top) => {
    const values = drawn.map(p => Math.max(p[key], 1e-6))
    const [low, high] = [Math.log(Math.min(...values) / 1.5), Math.log(Math.max(...values) * 1.5)]
    const x = (/** @type {number} */ v) => LEFT + ((WIDTH - LEFT - 20) * v) / (1.05 * source.kvBytesPerToken)
    const y = (/** @type {number} */ v) => top + TOP + (HEIGHT - TOP - BOTTOM) * (1 - (Math.log(Math.max(v, 1e-6)) - low) / (high - low))
    const ticks = Array.from({ length: 24 }, (_, i) => 10 ** (Math.floor(i / 2) - 6) * (i % 2 ? 3 : 1)).filter(
      v => Math.log(v) > low && Math.log(v) < high,
    )
    const grid = ticks.map(v => `<line x1="${LEFT}" x2="${WIDTH - 20}" y1="${n(y(v))}" y2="${n(y(v))}" stroke="#ddd"/>${text(LEFT - 6, y(v) + 4, String(Number(v.toPrecision(1))), 'end')}`) // biome-ignore format: one line
    const below = [0.25, 0.5, 0.75, 1].map(f => text(x(f * source.kvBytesPerToken), top + HEIGHT - 24, Math.round(f * source.kvBytesPerToken).toLocaleString('en'), 'middle')) // biome-ignore format: one line
    const dots = names.map((name, i) => {
      const own = drawn.filter(p => p.name === name)
      return own.map(p => `<circle cx="${n(x(p.kvBytesPerToken))}" cy="${n(y(p[key]))}" r="5" fill="${COLORS[i]}"><title>${name}, ${p.ropeDim} rotated + ${p.latent} latent: ${p[key].toPrecision(4)}</title></circle>`).join('') // biome-ignore format: one line
    })
    const own = key === 'perplexity' ? `<line x1="${LEFT}" x2="${WIDTH - 20}" y1="${n(y(source.perplexity))}" y2="${n(y(source.perplexity))}" stroke="#888" stroke-dasharray="4"/>` : '' // biome-ignore format: one line
    return `${grid.join('')}${own}${below.join('')}${dots.join('')}${text(LEFT, top + 18, title, 'start')}`
  }
  const legend = names.map((name, i) => `<circle cx="${LEFT + 320 + i * 130}" cy="14" r="5" fill="${COLORS[i]}"/>${text(LEFT + 330 + i * 130, 18, name, 'start')}`) // biome-ignore format: one line
  const caption = text(WIDTH / 2, 2 * HEIGHT - 6, 'bytes of keys and values per token (f32)', 'middle')
  const body = panel('meanKl', 'KL to the source, nats', 0) + panel('perplexity', 'perplexity', HEIGHT) + legend.join('') + caption
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${2 * HEIGHT}" font-family="sans-serif" font-size="12" role="img"><title>SmolLM2-135M as latent attention</title><rect width="100%" height="100%" fill="white"/>${body}</svg>\n` // biome-ignore format: one line
}

const n = (/** @type {number} */ v) => Math.round(v * 100) / 100
const text = (/** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ s, /** @type {string} */ anchor) =>
  `<text x="${n(x)}" y="${n(y)}" text-anchor="${anchor}">${s}</text>`
