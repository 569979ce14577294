/** Tables: short ones, and long ones of which only the rows in sight are in the document. */
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Pages } from './asking.ts'
import { on } from './browser.ts'

/** A column: its title and its cell for a row. */
export type Column<Row> = {
  readonly title: string
  readonly cell: (row: Row) => ComponentChildren
  /** Whether it is numbers, on the right. */
  readonly isNumber?: boolean
  /** A class of its cells. `aside` is left out on narrow screens. */
  readonly class?: string
  /** The name to sort by, where the list can be sorted by it. */
  readonly order?: string
}

type Props<Row> = {
  readonly columns: readonly Column<Row>[]
  readonly rows: readonly Row[]
  readonly keyOf: (row: Row) => string | number
  readonly isChosen?: (row: Row) => boolean
  readonly order?: string | undefined
  readonly onOrder?: (order: string) => void
}

const classOf = <Row,>({ isNumber, class: own }: Column<Row>): string =>
  `${isNumber ? 'num' : ''} ${own ?? ''}`

const Head = <Row,>({ columns, order, onOrder }: Props<Row>) => (
  <thead>
    <tr>
      {columns.map((column) => {
        const { title, order: name } = column
        const isSorted = name !== undefined && name === order
        return (
          <th
            key={title}
            scope="col"
            class={classOf(column)}
            aria-sort={isSorted ? 'descending' : undefined}
          >
            {name === undefined || !onOrder ? (
              title
            ) : (
              <button
                type="button"
                data-sorted={isSorted || undefined}
                onClick={() => onOrder(name)}
              >
                {title}
                {isSorted ? ' ↓' : ''}
              </button>
            )}
          </th>
        )
      })}
    </tr>
  </thead>
)

const Rows = <Row,>({ columns, rows, keyOf, isChosen }: Props<Row>) => (
  <>
    {rows.map((row) => (
      <tr key={keyOf(row)} class={isChosen?.(row) ? 'chosen' : undefined}>
        {columns.map((column) => (
          <td key={column.title} class={classOf(column)}>
            {column.cell(row)}
          </td>
        ))}
      </tr>
    ))}
  </>
)

/** A table with all its rows in the document. */
export const Table = <Row,>(props: Props<Row>) => (
  <div class="wide">
    <table>
      <Head {...props} />
      <tbody>
        <Rows {...props} />
      </tbody>
    </table>
  </div>
)

/** The height of a row of a long table, in pixels: `td` of the style. */
const rowHeight = 28

/** Rows beyond the ones in sight, above and below. */
const spare = 20

/** The next rows are asked for when so few are left below the ones in sight. */
const ahead = 400

/** A table of many rows. `onEnd` is called before its end comes into sight. */
export const LongTable = <Row,>(
  props: Props<Row> & { readonly onEnd?: (() => void) | undefined },
) => {
  const { rows, columns, onEnd } = props
  const box = useRef<HTMLDivElement>(null)
  const [place, setPlace] = useState({ first: 0, count: 60 })
  useEffect(() => {
    const found = box.current
    if (!found) return
    const look = (): void => {
      // The page scrolls, and no box in it: a box would look like the whole list.
      const top = -found.getBoundingClientRect().top
      const first = Math.max(0, Math.floor(top / rowHeight) - spare)
      const count = Math.ceil(innerHeight / rowHeight) + 2 * spare
      setPlace((last) => (last.first === first && last.count === count ? last : { first, count }))
    }
    look()
    const ends = [on(window, 'scroll', look), on(window, 'resize', look)]
    return () => {
      for (const end of ends) end()
    }
  }, [])
  const first = Math.min(place.first, Math.max(0, rows.length - place.count))
  const last = Math.min(rows.length, first + place.count)
  const isAtEnd = last > rows.length - ahead
  useEffect(() => {
    if (isAtEnd) onEnd?.()
    // Rows that were asked for again may be as many, and have more after them.
  }, [isAtEnd, rows, onEnd])
  return (
    <div class="scroll" ref={box}>
      <table>
        <Head {...props} />
        <tbody>
          <Room rows={first} columns={columns.length} />
          <Rows {...props} rows={rows.slice(first, last)} />
          <Room rows={rows.length - last} columns={columns.length} />
        </tbody>
      </table>
    </div>
  )
}

/**
 * A list that comes page by page: the refusal of its last page, `empty` if it has no row, or a long
 * table.
 */
export const PagedTable = <Row,>(
  props: Omit<Props<Row>, 'rows'> & {
    readonly pages: Pages<Row>
    readonly empty: ComponentChildren
  },
) => {
  const { pages, empty, ...table } = props
  const { rows, refusal, isAsking, more } = pages
  const isEmpty = rows.length === 0 && !isAsking && !refusal
  return (
    <>
      {refusal && (
        <p class="banner bad">
          {refusal.message}{' '}
          <button type="button" onClick={more}>
            Ask again
          </button>
        </p>
      )}
      {isEmpty ? empty : <LongTable {...table} rows={rows} onEnd={more} />}
    </>
  )
}

const Room = ({ rows, columns }: { rows: number; columns: number }) =>
  rows === 0 ? null : (
    <tr class="room">
      <td colSpan={columns} style={{ height: `${rows * rowHeight}px` }} />
    </tr>
  )
