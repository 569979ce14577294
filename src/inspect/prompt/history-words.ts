/** The words about the past of an entity. None wakes any. */
import type { PastOptions } from '../../actors/index.ts'
import { invalidArgument } from '../../errors.ts'
import { workerKind } from '../../storage/index.ts'
import type { App } from '../../supervisors/index.ts'
import { printable } from '../text/paint.ts'
import type { View } from '../text/view.ts'
import { changesTable, pastTable } from '../views/history-view.ts'
import { view } from './flow-words.ts'
import type { ShownValues } from './shown-values.ts'

/** `json`: the answer is one line of JSON. `inShell`: it is shown by `keelson history`. */
type Shown = { readonly json?: boolean; readonly inShell?: boolean }

/** The turns of one page. */
const shownAtOnce = 20

/** The words. `shown` says whether states are printed as they are stored. */
export const historyWords = (app: App, { reveals }: ShownValues) => ({
  /**
   * `history('order', '17')`, `history('order/17')`, with the options of `app.entity(kind).history`.
   * The kind of durable workers is `$worker`.
   */
  history: async (...given: unknown[]): Promise<View> => {
    const { kind, id, rest } = entityIn(given)
    const { json, inShell, ...options } = (rest[0] ?? {}) as PastOptions & Shown
    const asked = { limit: shownAtOnce, ...(reveals && { reveal: true }), ...options }
    const page =
      kind === workerKind
        ? await app.workerHistory(id, asked)
        : await app.entity(kind).history(id, asked)
    const line = (cursor: string): string =>
      `history('${kind}', ${quoted(id)}, { before: '${cursor}'${options.atLsn === undefined ? '' : `, atLsn: ${options.atLsn}`} })`
    const next = inShell ? (cursor: string): string => `the same with --before ${cursor}` : line
    return view(json, page, (shown) => pastTable(`${kind}/${id}`, shown, next), asked.reveal)
  },
  /** `diff('order', '17', lsn, lsn2)`. */
  diff: async (...given: unknown[]): Promise<View> => {
    const { kind, id, rest } = entityIn(given)
    const [lsn, lsn2, options = {}] = rest as [number, number, Shown?]
    const revealed = reveals ? { reveal: true } : {}
    const changes =
      kind === workerKind
        ? await app.workerDiff(id, lsn, lsn2, revealed)
        : await app.entity(kind).diff(id, lsn, lsn2, revealed)
    return view(options.json, changes, changesTable, reveals)
  },
})

/** The text as one writes it at the prompt. No byte of it acts on the terminal. */
const quoted = (text: string): string => `'${printable(text.replace(/['\\]/g, '\\$&'))}'`

/** The entity that the first arguments name, and the arguments after it. */
const entityIn = ([first, ...others]: readonly unknown[]) => {
  if (typeof first !== 'string')
    throw invalidArgument('entity', "'order', '17', or 'order/17'", first)
  const [, kind, id] = /^([^/]+)\/(.+)$/s.exec(first) ?? []
  if (kind !== undefined && id !== undefined) return { kind, id, rest: others }
  const [named, ...rest] = others
  return { kind: first, id: typeof named === 'number' ? String(named) : (named as string), rest }
}
