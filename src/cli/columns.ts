import { stripVTControlCharacters } from 'node:util'

const gap = '  '

/** Lines of cells padded to the widest of their column; colour sequences take no room, nothing is padded at the end of a line. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) row.forEach((cell, index) => (widths[index] = Math.max(widths[index] ?? 0, width(cell))))
  return rows.map((row) =>
    row
      .map((cell, index) => cell + ' '.repeat((widths[index] ?? 0) - width(cell)))
      .join(gap)
      .trimEnd(),
  )
}

const width = (cell: string) => stripVTControlCharacters(cell).length
