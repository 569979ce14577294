/**
 * The words about entities: their kinds, a page of one kind, and one entity. None wakes any. They
 * are apart from the words about processes because they read rows: an entity at rest has no
 * process.
 */
import { shownState } from '../../actors/index.ts'
import { invalidArgument } from '../../errors.ts'
import type { App } from '../../supervisors/index.ts'
import { entityAt, kindsOf } from '../answers/entities.ts'
import { type NamedEntity, namedEntity } from '../answers/process-finder.ts'
import { nextTurn } from '../answers/process-pages.ts'
import { View } from '../text/view.ts'
import { entityFacts, entityRow, entityTable, kindTable } from '../views/entity-view.ts'
import type { ShownValues } from './shown-values.ts'

type Handle = ReturnType<App['entity']>
type ListOptions = NonNullable<Parameters<Handle['list']>[0]>

/** The words. `shown` has what is printed instead of a state. */
export const entityWords = (app: App, shown: ShownValues) => ({
  entities: async (kind?: unknown, options?: unknown) =>
    new View(
      kind === undefined
        ? kindTable(await kindsOf(app))
        : await entityPage(app, shown, kind as string, (options ?? {}) as ListOptions),
    ),
  entity: (kind: unknown, id?: unknown) =>
    new View(entityFacts(entityAt(app, entityGiven(app, kind, id), shown.reveals))),
})

/**
 * The handle of a kind, whose states are printed as its server lets them be shown.
 */
export const shownEntities = ({ entities }: App, handle: Handle, shown: ShownValues): Handle => {
  const marked = (state: unknown) => shown.mark(state, shownState(entities, handle.kind, state))
  const own = {
    state: (id: string) => marked(handle.state(id)),
    list: (options?: ListOptions) => {
      const page = handle.list(options)
      return {
        ...page,
        entries: page.entries.map((each) => ({ ...each, state: marked(each.state) })),
      }
    },
  }
  return new Proxy(handle, {
    get: (target, name) => {
      const part: unknown = Reflect.get(name in own ? own : target, name)
      return typeof part === 'function' ? part.bind(target) : part
    },
  })
}

/** `entity('order/42')`, `entity('order', '42')`, `entity('order', 42)`. */
const entityGiven = (app: App, kind: unknown, id: unknown): NamedEntity => {
  if (typeof kind !== 'string')
    throw invalidArgument('entity', "'order/42', or 'order', '42'", kind)
  const named = id === undefined ? namedEntity(app, kind) : undefined
  if (named) return named
  const [, before = kind, after] = /^([^/]*)\/(.*)$/s.exec(kind) ?? []
  return { kind: before, id: typeof id === 'number' ? String(id) : ((id ?? after) as string) }
}

/** The entities of a page, unless its caller says otherwise, and at most. */
const shownAtOnce = 20
const shownMax = 200
/** Their states may be large, and are read, copied and printed. */
const readAtOnce = 10

/** A page of entities, read in parts with a turn of the event loop between them. */
const entityPage = async (
  app: App,
  shown: ShownValues,
  kind: string,
  options: ListOptions,
): Promise<string> => {
  const handle = shownEntities(app, app.entity(kind), shown)
  const { limit = shownAtOnce } = options
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > shownMax)
    throw invalidArgument('limit', `a whole number from 1 to ${shownMax}`, limit)
  const rows: (readonly string[])[] = []
  let { cursor } = options
  do {
    const part = Math.min(readAtOnce, limit - rows.length)
    const page = handle.list({ ...options, limit: part, ...(cursor && { cursor }) })
    for (const { id, state, blocked } of page.entries) {
      const { pid } = handle.ref(id)
      rows.push(entityRow({ id, pid, state: shown.printed(state), blocked: blocked?.message }))
    }
    cursor = page.cursor
    await nextTurn(app.system)
  } while (cursor !== undefined && rows.length < limit)
  return entityTable(kind, rows, cursor)
}
