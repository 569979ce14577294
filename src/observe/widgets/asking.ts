/** The questions that views ask on demand, and the pages of long lists. */
import { createContext } from 'preact'
import { useCallback, useContext, useEffect, useRef, useState } from 'preact/hooks'
import type { Header, Proposed, Views } from '../protocol.ts'
import { ask, Refused } from './connection.ts'

/** The part of the page that every view may use. */
export type Page = {
  readonly header: Header
  /** Looks at another member. */
  readonly look: (member: string) => void
  /** Shows the effect of an action and asks; resolves once it is performed or given up. */
  readonly propose: (action: Proposed, title: string) => void
}

/** The page around a view. */
export const PageContext = createContext<Page | undefined>(undefined)

/** The page around this view. */
export const usePage = (): Page => {
  const page = useContext(PageContext)
  if (!page) throw new Error('a view is shown outside the page')
  return page
}

/** A question and its answer. `data` is the last answer, also while the next one is awaited. */
export type Asked<T> = {
  readonly data: T | undefined
  readonly refusal: Refused | undefined
  readonly isAsking: boolean
}

const nothing = { data: undefined, refusal: undefined, isAsking: true } as const

/** Asks for a view each time that its query changes; `undefined` asks nothing. */
export const useAsked = <V extends keyof Views>(
  view: V,
  query: Views[V]['query'] | undefined,
): Asked<Views[V]['data']> => {
  const key = JSON.stringify(query)
  const [asked, setAsked] = useState<Asked<Views[V]['data']>>(nothing)
  useEffect(() => {
    setAsked(nothing)
    if (query === undefined) return
    const abort = new AbortController()
    ask(view, query, abort.signal).then(
      (data) => setAsked({ data, refusal: undefined, isAsking: false }),
      (error: unknown) => {
        if (!abort.signal.aborted)
          setAsked({ data: undefined, refusal: refusedOf(error), isAsking: false })
      },
    )
    return () => abort.abort()
  }, [view, key])
  return asked
}

/** Why a question has no answer. */
export const refusedOf = (error: unknown): Refused =>
  error instanceof Refused ? error : new Refused({ code: 'AWAY', message: String(error) })

/** The views whose answers are pages of rows. */
type Paged = { [V in keyof Views]: Views[V]['data'] extends Rows<unknown> ? V : never }[keyof Views]
type Rows<Row> = { readonly rows: readonly Row[]; readonly cursor?: string }
type RowOf<V extends Paged> = Views[V]['data']['rows'][number]

/** A list as far as it has come. `more` asks for its next page. */
export type Pages<Row> = {
  readonly rows: readonly Row[]
  readonly refusal: Refused | undefined
  readonly isAsking: boolean
  readonly isWhole: boolean
  readonly more: () => void
}

/** How far a list has come. */
type Place<Row> = {
  readonly key: string
  rows: readonly Row[]
  cursor: string | undefined
  isAsking: boolean
  isWhole: boolean
  /** So many rows are asked for before any is shown. */
  readonly least: number
}

/** Asks for the next page of a list, and goes on until it has its least rows. */
const pagesAfter = async <V extends Paged>(
  view: V,
  query: Omit<Views[V]['query'], 'cursor'>,
  place: Place<RowOf<V>>,
  isWanted: () => boolean,
): Promise<void> => {
  do {
    const asked = { ...query, cursor: place.cursor } as Views[V]['query']
    const { rows, cursor } = (await ask(view, asked)) as Rows<RowOf<V>>
    place.rows = [...place.rows, ...rows]
    place.cursor = cursor
    place.isWhole = cursor === undefined
  } while (!place.isWhole && place.rows.length < place.least && isWanted())
  place.isAsking = false
}

/**
 * The pages of a list, from its first one when its query changes. Another version of the same list is
 * asked for as far as the last one has come. The rows of the last one stay until then.
 */
export const usePages = <V extends Paged>(
  view: V,
  query: Omit<Views[V]['query'], 'cursor'>,
  version = 0,
): Pages<RowOf<V>> => {
  const key = JSON.stringify([view, query])
  const [list, setList] = useState<Omit<Pages<RowOf<V>>, 'more'>>({ ...empty })
  const next = useRef<Place<RowOf<V>> | null>(null)
  const more = useCallback(() => {
    const place = next.current
    if (!place || place.isAsking || place.isWhole) return
    place.isAsking = true
    setList((last) => ({ ...last, isAsking: true }))
    pagesAfter(view, query, place, () => next.current === place).then(
      () => {
        if (next.current !== place) return
        const { rows, isWhole } = place
        setList({ rows, refusal: undefined, isAsking: false, isWhole })
      },
      (error: unknown) => {
        if (next.current !== place) return
        place.isAsking = false
        setList((last) => ({ ...last, refusal: refusedOf(error), isAsking: false }))
      },
    )
  }, [key])
  useEffect(() => {
    const last = next.current
    const least = last?.key === key ? Math.max(last.least, last.rows.length) : 0
    next.current = { key, rows: [], cursor: undefined, isAsking: false, isWhole: false, least }
    if (last?.key !== key) setList({ ...empty })
    more()
  }, [key, version])
  return { ...list, more }
}

const empty = { rows: [], refusal: undefined, isAsking: true, isWhole: false } as const
