import type { HeadMap } from './head-map.ts'

/** Points with a name, drawn in one colour. */
export interface Series {
  readonly name: string
  readonly color: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

export const escaped = (text: string): string => text.replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`)
const text = (x: number, y: number, s: string, more = ''): string => `<text x="${round(x)}" y="${round(y)}" ${more}>${escaped(s)}</text>`
const round = (n: number): number => Math.round(n * 100) / 100
const picture = (width: number, height: number, title: string, body: string): string =>
  `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}"><title>${escaped(title)}</title>${body}</svg>`

/** Groups of bars side by side: one group per layer, one bar per series. */
export function layerBars(title: string, series: readonly Series[], layers: number): string {
  const [width, height, left, top, bottom] = [900, 260, 44, 24, 28]
  const most = Math.max(1e-9, ...series.flatMap(s => s.points.map(p => p[1])))
  const group = (width - left) / layers
  const bar = (group * 0.8) / series.length
  const y = (v: number) => top + (height - top - bottom) * (1 - v / most)
  const bars = series.flatMap((s, i) =>
    s.points.map(([layer, v]) => {
      const x = left + layer * group + group * 0.1 + i * bar
      const box = `x="${round(x)}" y="${round(y(v))}" width="${round(bar)}" height="${round(height - bottom - y(v))}"`
      return `<rect ${box} fill="${s.color}"><title>${escaped(s.name)}, layer ${layer}: ${v.toPrecision(3)}</title></rect>`
    }),
  )
  const lines = [0, 0.5, 1].map(
    f =>
      `<line x1="${left}" x2="${width}" y1="${round(y(f * most))}" y2="${round(y(f * most))}" class="grid"/>${text(left - 6, y(f * most) + 4, (f * most).toPrecision(2), 'text-anchor="end"')}`,
  )
  const every = Math.ceil(layers / 30)
  const numbers = Array.from({ length: layers }, (_, l) =>
    l % every === 0 ? text(left + (l + 0.5) * group, height - 10, String(l), 'text-anchor="middle"') : '',
  )
  return picture(width, height, title, lines.join('') + bars.join('') + numbers.join('') + legend(series, left))
}

/** Perplexity (log scale, upwards) over KV bytes. */
export function scatter(title: string, series: readonly Series[], axes: { x: string; y: string }): string {
  const [width, height, left, top, bottom] = [900, 340, 64, 30, 44]
  const all = series.flatMap(s => s.points)
  const [x0, x1] = [0, 1.08 * Math.max(1, ...all.map(p => p[0]))]
  const [y0, y1] = [0.8 * Math.min(...all.map(p => p[1])), 1.4 * Math.max(...all.map(p => p[1]))]
  const x = (v: number) => left + ((width - left - 20) * (v - x0)) / (x1 - x0)
  const y = (v: number) => top + (height - top - bottom) * (1 - Math.log(v / y0) / Math.log(y1 / y0))
  const ticks = Array.from({ length: 14 }, (_, i) => [10 ** (i - 2), 3 * 10 ** (i - 2)])
    .flat()
    .filter(v => v >= y0 && v <= y1)
  const grid = ticks.map(
    v =>
      `<line x1="${left}" x2="${width}" y1="${round(y(v))}" y2="${round(y(v))}" class="grid"/>${text(left - 6, y(v) + 4, String(Number(v.toPrecision(1))), 'text-anchor="end"')}`,
  )
  const unit = niceStep(x1 / 5)
  const below = Array.from({ length: Math.floor(x1 / unit) + 1 }, (_, i) => i * unit)
    .filter(v => x(v) < width - 24)
    .map(v => text(x(v), height - 24, v.toLocaleString('en'), 'text-anchor="middle"'))
  const dots = series.map(s => {
    const line =
      s.points.length > 1
        ? `<polyline points="${s.points.map(p => `${round(x(p[0]))},${round(y(p[1]))}`).join(' ')}" fill="none" stroke="${s.color}" stroke-opacity=".5"/>`
        : ''
    return (
      line +
      s.points
        .map(
          p =>
            `<circle cx="${round(x(p[0]))}" cy="${round(y(p[1]))}" r="5" fill="${s.color}"><title>${escaped(s.name)}: ${round(p[0])} bytes, ${p[1].toPrecision(4)}</title></circle>`,
        )
        .join('')
    )
  })
  const names = text((left + width) / 2, height - 6, axes.x, 'text-anchor="middle"') + text(left, height - 6, axes.y)
  return picture(width, height, title, grid.join('') + below.join('') + dots.join('') + names + legend(series, left))
}

/** A small square per head: the darker, the more a token (row) looks at another (column). */
export function heads(title: string, { heads, tokens, keyHeads }: HeadMap): string {
  const n = tokens.length
  const across = Math.min(heads.length, 5)
  const side = 168
  const cell = side / n
  const maps = heads.map((w, h) => {
    const [left, top] = [(h % across) * (side + 12), Math.floor(h / across) * (side + 26) + 18]
    const cells: string[] = []
    for (let t = 0; t < n; t++)
      for (let s = 0; s <= t; s++)
        if (w[t * n + s] > 0.01)
          cells.push(
            `<rect x="${round(left + s * cell)}" y="${round(top + t * cell)}" width="${round(cell)}" height="${round(cell)}" fill-opacity="${round(Math.sqrt(w[t * n + s]))}"><title>${escaped(tokens[t])} → ${escaped(tokens[s])}: ${(100 * w[t * n + s]).toFixed(0)} %</title></rect>`,
          )
    const frame = `<rect x="${left}" y="${top}" width="${side}" height="${side}" fill="none" class="frame"/>`
    return `${text(left, top - 5, `head ${h}, keys ${keyHeads[h]}`)}${frame}<g class="heat">${cells.join('')}</g>`
  })
  return picture(across * (side + 12), Math.ceil(heads.length / across) * (side + 26) + 4, title, maps.join(''))
}

/** 1, 2 or 5 times a power of ten, at least `least`. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least))
  return [1, 2, 5, 10].map(f => f * power).find(s => s >= least)!
}

function legend(series: readonly Series[], left: number): string {
  let x = left
  return series
    .map(s => {
      const at = x
      x += 26 + 7.5 * s.name.length
      return `<rect x="${at}" y="4" width="10" height="10" fill="${s.color}"/>${text(at + 15, 13, s.name)}`
    })
    .join('')
}
