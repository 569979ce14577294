/** Columns of text, for tables and the process tree. Pure. */
import { stripVTControlCharacters } from 'node:util'
import { printableCell } from './paint.ts'

/**
 * The rows under their headings, each column as wide as its widest cell. A row is one line, whatever
 * its cells have in them, and has no trailing spaces. `columns` are the headings; `>` before one aligns its column right, for numbers.
 */
export const textTable = (
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): string => {
  const lines = [
    columns.map((heading) => heading.replace(/^>/, '')),
    ...rows.map((cells) => cells.map(printableCell)),
  ]
  const widths = columns.map((_, at) =>
    lines.reduce((widest, cells) => Math.max(widest, width(cells[at] ?? '')), 0),
  )
  const line = (cells: readonly string[]): string =>
    columns
      .map((heading, at) => padded(cells[at] ?? '', widths[at] ?? 0, heading.startsWith('>')))
      .join('  ')
      .trimEnd()
  return lines.map(line).join('\n')
}

/** A row for each node of a tree, in its order. `branch` is the line that leads to the node. */
export const treeRows = <N extends { readonly children: readonly N[] }>(
  root: N,
  rowOf: (node: N, branch: string) => string[],
): string[][] => {
  const rowsOf = (node: N, first: string, others: string): string[][] => [
    rowOf(node, first),
    ...node.children.flatMap((child, at) => {
      const isLast = at === node.children.length - 1
      return rowsOf(
        child,
        `${others}${isLast ? '└─ ' : '├─ '}`,
        `${others}${isLast ? '   ' : '│  '}`,
      )
    }),
  ]
  return rowsOf(root, '', '')
}

/** Facts in two columns: names and values. */
export const factList = (facts: readonly (readonly [name: string, fact: string])[]): string => {
  const widest = Math.max(0, ...facts.map(([name]) => name.length))
  return facts
    .map(([name, fact]) => `${name.padEnd(widest)}  ${printableCell(fact)}`.trimEnd())
    .join('\n')
}

/** Few cells are coloured, and a search is much faster than a removal. */
const width = (cell: string): number =>
  cell.includes('\x1b') ? stripVTControlCharacters(cell).length : cell.length

const padded = (cell: string, columnWidth: number, isRight: boolean): string => {
  const space = ' '.repeat(Math.max(0, columnWidth - width(cell)))
  return isRight ? space + cell : cell + space
}
