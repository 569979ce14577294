/** Columns of text, for tables and the process tree. Pure. */
import { stripVTControlCharacters } from 'node:util'

/** A column: its heading and its alignment. */
export type Column = { readonly title: string; readonly align?: 'left' | 'right' }

/**
 * The rows under their headings, each column as wide as its widest cell. Lines have no trailing
 * spaces.
 */
export const textTable = (
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string => {
  const lines = [columns.map(({ title }) => title), ...rows]
  const widths = columns.map((_, at) =>
    lines.reduce((widest, cells) => Math.max(widest, width(cells[at] ?? '')), 0),
  )
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ align }, at) => padded(cells[at] ?? '', widths[at] ?? 0, align))
      .join('  ')
      .trimEnd()
  return lines.map(line).join('\n')
}

/** Facts in two columns: names and values. */
export const factList = (facts: readonly (readonly [name: string, fact: string])[]): string => {
  const widest = Math.max(0, ...facts.map(([name]) => name.length))
  return facts.map(([name, fact]) => `${name.padEnd(widest)}  ${fact}`.trimEnd()).join('\n')
}

const width = (cell: string): number => stripVTControlCharacters(cell).length

const padded = (cell: string, columnWidth: number, align: Column['align']): string => {
  const space = ' '.repeat(Math.max(0, columnWidth - width(cell)))
  return align === 'right' ? space + cell : cell + space
}
