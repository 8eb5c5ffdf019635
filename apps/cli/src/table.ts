/** Rows as aligned columns; numbers to the right. */
export function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [header, ...rows].map(r => r.map(String))
  const width = header.map((_, i) => Math.max(...cells.map(r => (r[i] ?? '').length)))
  const right = header.map(
    (_, i) =>
      rows.length > 0 && rows.every(r => typeof r[i] === 'number' || /^[-+]?[\d.,]+( ?(%|×|MB|kB|B|s|ms))?$|^–$/.test(String(r[i]))),
  )
  const line = (r: readonly string[]): string =>
    r
      .map((c, i) => (right[i] ? c.padStart(width[i]) : c.padEnd(width[i])))
      .join('  ')
      .trimEnd()
  return `${[line(cells[0]), width.map(w => '─'.repeat(w)).join('  '), ...cells.slice(1).map(line)].join('\n')}\n`
}
/** 1234567 → `1.23 MB` */
export function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let i = 0
  let x = n
  while (x >= 1000 && i < units.length - 1) {
    x /= 1000
    i++
  }
  return `${i === 0 ? x : x.toPrecision(3)} ${units[i]}`
}
/** 134515008 → `134.5 M` */
export const count = (n: number): string =>
  n >= 1e9 ? `${(n / 1e9).toFixed(2)} G` : n >= 1e6 ? `${(n / 1e6).toFixed(1)} M` : n >= 1e3 ? `${(n / 1e3).toFixed(1)} k` : String(n)
export const fixed = (n: number, digits = 3): string =>
  Number.isFinite(n) ? (Math.abs(n) >= 1e4 ? n.toFixed(0) : n.toPrecision(digits + 1).replace(/\.?0+$/, '')) : '–'
