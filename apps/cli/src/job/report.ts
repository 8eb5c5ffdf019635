import { basename } from 'node:path'
import type { QualityPoint } from '@attune/convert'
import type { JobResult } from './job.ts'
import { measurementTable } from './measurement-table.ts'
import { escaped, heads, layerBars, type Series, scatter } from './svg.ts'

const COLORS = ['#5b6f86', '#2a9d8f', '#d1495b', '#edae49', '#00798c', '#7a5195']

/** One HTML page with everything in it: pictures are inline, nothing is fetched. */
export function reportPage(job: JobResult): string {
  const { device, measurements, points, texts, headMap } = job
  const model = basename(job.model)
  const [head, ...rows] = measurementTable(measurements)
  const color = (label: string) =>
    COLORS[
      Math.max(
        0,
        measurements.findIndex(m => m.label === label),
      ) % COLORS.length
    ]
  const bars = measurements
    .filter(m => m.exactness !== 'source' && m.exactness !== 'exact' && m.layersConverted === job.layers)
    .map((m): Series => ({ name: m.label, color: color(m.label), points: m.layerErrors.map(e => [e.layer, e.error]) }))
  const spread = measurements.map((m): Series => ({ name: m.label, color: color(m.label), points: [[m.kvBytesPerToken, m.perplexity]] }))
  const tried: Series = { name: 'plans tried', color: '#999999', points: byBytes(points) }
  const sections = [
    section('What was measured', `${htmlTable(head, rows)}<p>${escaped(job.about.join(' '))}</p>`),
    bars.length > 0 &&
      section(
        'Error of each layer',
        `${layerBars('Relative error of the attention output per layer', bars, job.layers)}<p>Relative error of the attention's output on held-out text, given the source's inputs.</p>`,
      ),
    section(
      'KV bytes against quality',
      `${scatter('Perplexity over KV bytes per token', points.length > 0 ? [tried, ...spread] : spread, { x: 'KV bytes per token', y: 'perplexity' })}<p>Down is better, left is smaller.</p>`,
    ),
    headMap &&
      section(
        `Where the heads of layer ${headMap.layer} look`,
        `${heads(`Attention of layer ${headMap.layer}`, headMap)}<p>On “${escaped(job.headPrompt)}” Rows look at columns; heads that read the same keys have the same number.</p>`,
      ),
    section(
      'The same prompt',
      `<p>${escaped(job.prompt)}</p>${htmlTable(
        texts.map(t => t.label),
        [texts.map(t => t.text)],
        'texts',
      )}`,
    ),
  ]
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>attune: ${escaped(model)}</title>
<style>${STYLE}</style>
<h1>${escaped(model)}</h1><p>${escaped(`Measured by attune on ${device}, ${job.date}.`)}</p>
${job.toy ? '<p class="toy">This is a toy: a tiny model that stands in because the real one could not be had.</p>' : ''}
${sections.filter(s => s).join('\n')}
</html>
`
}

const byBytes = (points: readonly QualityPoint[]): [number, number][] =>
  [...points].sort((a, b) => a.kvBytesPerToken - b.kvBytesPerToken).map(p => [p.kvBytesPerToken, p.quality])

const section = (title: string, body: string): string => `<section><h2>${escaped(title)}</h2>${body}</section>`

const htmlTable = (head: readonly string[], rows: readonly (readonly string[])[], name = 'numbers'): string =>
  `<div class="wide"><table class="${name}"><tr>${head.map(h => `<th>${escaped(h)}</th>`).join('')}</tr>${rows.map(r => `<tr>${r.map(c => `<td>${escaped(c)}</td>`).join('')}</tr>`).join('')}</table></div>`

const STYLE = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 940px; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse; width: 100%; font-size: 14px } th, td { text-align: left; padding: .3rem .45rem; border-bottom: 1px solid #ddd; vertical-align: top }
.wide { overflow-x: auto } .numbers { white-space: nowrap } .numbers td:nth-child(n+3), .numbers th:nth-child(n+3) { text-align: right } .texts td { white-space: pre-wrap; width: 33% }
svg { width: 100%; height: auto; font-size: 12px } svg text { fill: #444 } .grid { stroke: #ddd } .frame { stroke: #bbb } .heat { fill: #12507b }
.toy { background: #fff3cd; padding: .6rem 1rem; border-left: 4px solid #d39e00 }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181a1f } svg text { fill: #bbb } .grid, .frame { stroke: #444 } .heat { fill: #8ecaff } th, td { border-color: #444 } .toy { color: #222 } }
`
