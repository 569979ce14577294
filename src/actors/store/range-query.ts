/** The options of a range, checked, and the cursor that continues after a page. Pure. */
import { argument, flag, membersOf, or, wholeFrom } from '../../check.ts'
import { invalidArgument } from '../../errors.ts'
import { checkKey, compareKeys, type RowRange, successor } from '../../storage/index.ts'
import { ownOptions } from '../core/argument-check.ts'
import { checkFreshness, type Freshness } from './freshness.ts'
import { fingerprintOf, keyBehind } from './page-cursor.ts'

/** The options of a range: at most one lower and one upper bound; `prefix` narrows them further. */
export type RangeOptions = {
  readonly gt?: string
  readonly gte?: string
  readonly lt?: string
  readonly lte?: string
  readonly prefix?: string
  /** From the last key to the first. */
  readonly reverse?: boolean
  /** The most entries of one page; 100 by default. */
  readonly limit?: number
  /**
   * Continues after the page that returned it. The other options must be the same as for that page.
   */
  readonly cursor?: string
  /** False: entries have no values (`undefined`). */
  readonly values?: boolean
  /** How fresh the state must be that the page shows; `applied`. */
  readonly freshness?: Freshness
}

/** The options of `entries`. */
export type EntriesOptions = RangeOptions & {
  /** True: a `LargeValue` is loaded before its entry is given. */
  readonly load?: boolean
}

/** A checked query: the keys to walk through, and the page. */
export type RangeQuery = {
  readonly range: RowRange
  readonly prefix: string | undefined
  readonly limit: number
  readonly values: boolean
  readonly freshness: Freshness
  /** Identifies the query, for its cursors. A hash: most pages have none. */
  readonly fingerprint: () => string
}

const optionNames = [
  'gt',
  'gte',
  'lt',
  'lte',
  'prefix',
  'reverse',
  'limit',
  'cursor',
  'values',
  'freshness',
]

/** `checked`: what its keys are. @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR` */
export const rangeQuery = (given: RangeOptions, checked = checkKey): RangeQuery => {
  const options = rangeOptions(given)
  checkBounds(options, checked)
  const { reverse, limit, values } = pageOptions(options, argument())
  const { cursor, prefix } = options
  const bounds = narrowed(options)
  const { gt, gte, lt, lte } = bounds
  const fingerprint = (): string => fingerprintOf(gt, gte, lt, lte, reverse, values)
  const range =
    cursor === undefined
      ? bounds
      : behind(bounds, reverse, keyBehind(cursor, fingerprint(), checked))
  const freshness = checkFreshness(options.freshness)
  return { range: { ...range, reverse }, prefix, limit, values, freshness, fingerprint }
}

/** A copy of the options of a range, for one that is sent on. @throws KeelsonError `INVALID_ARGUMENT` */
export const rangeOptions = (options: RangeOptions): RangeOptions =>
  ownOptions(options, optionNames)

/** The options of `entries`, checked: those of its pages, and `load`. @throws as `rangeQuery` */
export const entriesQuery = (
  options: EntriesOptions,
): { readonly range: RangeOptions; readonly load: boolean } => {
  const { load = false, ...range } = ownOptions(options, [...optionNames, 'load'])
  rangeQuery(range)
  return { range, load: flag(load, argument('load')) }
}

const pageOptions = membersOf({
  reverse: or(flag, false),
  values: or(flag, true),
  limit: or(wholeFrom(1), 100),
})

const checkBounds = (options: RangeOptions, checked: typeof checkKey): void => {
  for (const name of ['gt', 'gte', 'lt', 'lte', 'prefix'] as const)
    if (options[name] !== undefined && !(name === 'prefix' && options.prefix === ''))
      checked(options[name])
  if (options.gt !== undefined && options.gte !== undefined)
    throw invalidArgument('gt', 'gt or gte', 'both')
  if (options.lt !== undefined && options.lte !== undefined)
    throw invalidArgument('lt', 'lt or lte', 'both')
}

/** The bounds of a walk. */
export type Bounds = { gt?: string; gte?: string; lt?: string; lte?: string }

/** The bounds with the prefix applied: the tighter one of each side. */
const narrowed = ({ gt, gte, lt, lte, prefix }: RangeOptions): Bounds => {
  const end = prefix === undefined ? undefined : successor(prefix)
  const lower = gt ?? gte
  const upper = lt ?? lte
  const fromPrefix = prefix !== undefined && (lower === undefined || compareKeys(prefix, lower) > 0)
  const toPrefix = end !== undefined && (upper === undefined || compareKeys(end, upper) <= 0)
  return {
    ...(fromPrefix
      ? { gte: prefix }
      : gt !== undefined
        ? { gt }
        : gte !== undefined
          ? { gte }
          : {}),
    ...(toPrefix ? { lt: end } : lt !== undefined ? { lt } : lte !== undefined ? { lte } : {}),
  }
}

/** The rest of a range after `key`. */
export const behind = (bounds: Bounds, reverse: boolean, key: string): Bounds => {
  const { gt, gte, lt, lte } = bounds
  if (reverse) return { ...(gt !== undefined ? { gt } : gte !== undefined ? { gte } : {}), lt: key }
  return { ...(lt !== undefined ? { lt } : lte !== undefined ? { lte } : {}), gt: key }
}
