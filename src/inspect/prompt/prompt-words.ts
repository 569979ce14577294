/**
 * The words of the prompt: commands that inspect and control an instance, its handles, and a
 * function for each kind of part, so that `info(wal_writer(0))` reads as it is printed.
 */

import { inspect } from 'node:util'
import { shownState } from '../../actors/index.ts'
import { invalidArgument } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { type Ref, summaryOf } from '../../runtime/index.ts'
import type { App } from '../../supervisors/index.ts'
import { diskUse } from '../answers/disk-use.ts'
import {
  askedMs,
  entityAnywhere,
  kindsAnywhere,
  shardsHealth,
  unlessSilent,
  unlessSilentIn,
  waiting,
} from '../answers/member-looks.ts'
import {
  type NamedEntity,
  namedEntity,
  nameWith,
  processTitle,
  shownName,
} from '../answers/process-finder.ts'
import { nextTurn } from '../answers/process-pages.ts'
import { surveyLogs, surveyProjections } from '../answers/shard-survey.ts'
import { troubledAnywhere, troubleIn } from '../answers/troubled-entities.ts'
import { diskText } from '../text/disk-text.ts'
import { type Paint, printable } from '../text/paint.ts'
import { View } from '../text/view.ts'
import { clusterView } from '../views/cluster-view.ts'
import {
  entityFacts,
  entityRow,
  entityTable,
  kindTable,
  troubledTable,
} from '../views/entity-view.ts'
import {
  durabilityOf,
  journalView,
  logView,
  projectionView,
  refusalLines,
  replicationView,
  userProjectionView,
  withSilent,
} from '../views/shard-view.ts'
import { actingWords, backupWord } from './acting-words.ts'
import { failureWords } from './failure-words.ts'
import { FlowWords } from './flow-words.ts'
import { historyWords } from './history-words.ts'
import { lookingWords } from './looking-words.ts'
import { rehearsalWords } from './rehearsal-words.ts'
import { ShownValues, shownValues } from './shown-values.ts'
import { streamWords } from './stream-words.ts'
import { helpText, wordHelp } from './word-help.ts'

/** Names and their values, and how those of this prompt are printed. */
export type PromptWords = Readonly<Record<string, unknown>> & {
  readonly [shownValues]?: ShownValues
}

/**
 * Every word of the prompt for `app`. `control` has the suspensions that name no owner. `shown` has
 * what is printed instead of a state or a reply.
 */
export const promptWords = (
  app: App,
  paint: Paint,
  control = app.control,
  shown = new ShownValues(),
): PromptWords => {
  const store = promptStore(app)
  const bounded = unlessSilentIn(app, 'control', control)
  const prompted = promptApp(app, { control: bounded, store }, shown)
  const words = { ...wordsOf(app, paint, shown), store, app: prompted, control: bounded }
  const h = (word?: unknown) =>
    word === undefined
      ? new View(helpText)
      : wordHelp({ ...words, h }, word === app.store ? 'store' : word)
  return { ...words, h, [shownValues]: shown }
}

/** The app of a prompt, with its store and its control: what that suspends ends with the prompt. */
const promptApp = (app: App, own: Pick<App, 'control' | 'store'>, shown: ShownValues): App =>
  new Proxy(app, {
    get: (target, name) => {
      if (name === 'control' || name === 'store') return own[name]
      if (name === 'entity') return (kind: string) => shownEntities(app, target.entity(kind), shown)
      const part: unknown = Reflect.get(target, name, target)
      return typeof part === 'function' ? part.bind(target) : part
    },
  })

const wordsOf = (app: App, paint: Paint, shown: ShownValues): PromptWords => ({
  ...partWords(app),
  ...partViews(app, paint),
  ...lookingWords(app, paint, shown),
  ...wordsUnlessSilent(app, {
    ...entityWords(app, shown),
    ...historyWords(app, shown),
    ...streamWords(app, shown),
    ...actingWords(app, shown),
  }),
  backup: backupWord(app),
  ...failureWords(app, paint, shown),
  ...rehearsalWords(app),
  // Its list names what does not answer, and has the rest.
  flow: unlessSilentIn(app, 'flow', new FlowWords(app, paint), new Set(['list'])),
  help: helpWord(),
})

/** The words that wait for the owner of one thing. The others say themselves who did not answer. */
const wordsUnlessSilent = (
  app: App,
  words: Readonly<Record<string, (...given: never[]) => unknown>>,
): PromptWords =>
  Object.fromEntries(
    Object.entries(words).map(([name, word]) => {
      const waits = waiting(app, `${name}()`, word as (...given: unknown[]) => unknown)
      // A word that is not called is printed with its name.
      return [name, Object.defineProperty(waits, 'name', { value: name })]
    }),
  )

/** The store, which waits for no member that does not answer. */
const promptStore = (app: App): App['store'] => unlessSilentIn(app, 'store', app.store)

/** The words about the parts of an instance. */
const partViews = (app: App, paint: Paint) => ({
  wal: async () => {
    const [logs, health] = await Promise.all([surveyLogs(app, askedMs), shardsHealth(app)])
    const use = await diskUse(app, health)
    return new View(
      [
        ...refusalLines(health.shards, paint),
        ...(use ? [diskText(use)] : []),
        logView(logs, durabilityOf(app), paint),
      ].join('\n\n'),
    )
  },
  cluster: () => new View(clusterView(app.health().cluster, paint)),
  replication: async () => {
    const { replication, silent } = await shardsHealth(app)
    return new View(withSilent(replicationView(replication, paint), silent, paint))
  },
  /** Without arguments a view; otherwise the name of a process. */
  journal: (...parts: unknown[]) =>
    parts.length === 0 ? journals(app, paint) : nameWith('journal', parts),
  projections: async () => {
    const asked = [surveyProjections(app, askedMs), shardsHealth(app)] as const
    const [projections, { projections: users, silent }] = await Promise.all(asked)
    const shards = projectionView(projections, app.system.clock.now(), titleOf, paint)
    const text = userProjectionView(users, paint)
    return new View(withSilent(text === '' ? shards : `${shards}\n\n${text}`, silent, paint))
  },
})

const journals = async (app: App, paint: Paint): Promise<View> => {
  const { shards, silent } = await shardsHealth(app)
  return new View(withSilent(journalView(shards, paint), silent, paint))
}

/** The title of the process of a ref, of which there is none if it has ended. */
const titleOf = (ref: Ref): string => {
  const found = summaryOf(ref)
  return found ? processTitle(found) : `<${ref.pid}>`
}

/**
 * A word for each process with a simple name, and a function for each part that has arguments in
 * its name.
 */
const partWords = (app: App): Record<string, unknown> => {
  const words: Record<string, unknown> = {}
  for (const part of partNames) words[part] = (...parts: unknown[]) => nameWith(part, parts)
  // The name of the part, and the functions for windows.
  words.batcher = Object.assign((...parts: unknown[]) => nameWith('batcher', parts), {
    windows: () => app.batcher.windows(),
    setWindow: (namespace: string, ms: number) =>
      app.batcher.setWindow(namespace, ms, { by: 'prompt' }),
    changes: () => app.batcher.changes(),
    flush: () => unlessSilent(app, 'batcher.flush()', app.batcher.flush()),
  })
  const names = processWords(app)
  const isFree = (word: string): boolean => !(word in words) && !(word in globalThis)
  for (const name of names) if (/^[A-Za-z_$][\w$]*$/.test(name) && isFree(name)) words[name] = name
  for (const name of names) {
    const part = /^([A-Za-z_$][\w$]*)\(.*\)$/.exec(name)?.[1]
    if (part !== undefined && isFree(part))
      words[part] = (...parts: unknown[]) => nameWith(part, parts)
  }
  return words
}

/** The parts of a shard whose names have its number. */
const partNames = ['blob_store', 'wal_writer', 'applier', 'lmdb_writer', 'shard', 'followers']

/** The most processes that become words; the tree's own come first. */
const wordsMax = 1_000

/** `help` prints the list as a word and as a call. */
const helpWord = (): unknown =>
  Object.assign(() => new View(helpText), { [inspect.custom]: () => helpText })

/** The words of the instance's processes, for completion, which a terminal shows as they are. */
export const processWords = (app: App): string[] =>
  app.system
    .inspectProcesses({ limit: wordsMax })
    .flatMap((process) => shownName(process) ?? [])
    .filter((word) => word === printable(word))

type Handle = ReturnType<App['entity']>
type ListOptions = NonNullable<Parameters<Handle['list']>[0]>

/** The words. `shown` has what is printed instead of a state. */
const entityWords = (app: App, shown: ShownValues) => ({
  entities: async (kind?: unknown, options?: unknown) =>
    new View(
      kind === undefined
        ? await kindsText(app)
        : await entityPage(app, shown, kind as string, (options ?? noOptions) as PageOptions),
    ),
  entity: async (kind: unknown, id?: unknown) =>
    new View(entityFacts(await entityAnywhere(app, entityGiven(app, kind, id), shown.reveals))),
})

const kindsText = async (app: App): Promise<string> => {
  const { kinds, silent } = await kindsAnywhere(app)
  return withSilent(kindTable(kinds), silent)
}

/**
 * The handle of a kind, whose states are printed as its server lets them be shown.
 */
const shownEntities = (app: App, handle: Handle, shown: ShownValues): Handle => {
  const { entities } = app
  const marked = (state: unknown) => shown.mark(state, shownState(entities, handle.kind, state))
  const markedPage = (page: ReturnType<Handle['list']>) => ({
    ...page,
    entries: page.entries.map((each) => ({ ...each, state: marked(each.state) })),
  })
  const own = {
    state: (id: string) => marked(handle.state(id)),
    load: async (id: string) => marked(await handle.load(id)),
    list: (options?: ListOptions) => markedPage(handle.list(options)),
    page: async (options?: ListOptions) => markedPage(await handle.page(options)),
  }
  const parts = new Proxy(handle, {
    get: (target, name) => {
      const part: unknown = Reflect.get(Object.hasOwn(own, name) ? own : target, name)
      return typeof part === 'function' ? part.bind(target) : part
    },
  })
  return unlessSilentIn(app, `app.entity('${handle.kind}')`, parts)
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

/** `only`: those in this sort of trouble. */
type PageOptions = ListOptions & { readonly only?: unknown }

/** A page of entities, read in parts with a turn of the event loop between them. */
const entityPage = async (
  app: App,
  shown: ShownValues,
  kind: string,
  { only, ...options }: PageOptions,
): Promise<string> => {
  const handle = shownEntities(app, app.entity(kind), shown)
  if (only !== undefined)
    return troubledTable(handle.kind, await troubledAnywhere(app, kind, troubleIn(only)))
  const { limit = shownAtOnce } = options
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > shownMax)
    throw invalidArgument('limit', `a whole number from 1 to ${shownMax}`, limit)
  const rows: (readonly string[])[] = []
  let { cursor } = options
  do {
    const part = Math.min(readAtOnce, limit - rows.length)
    const page = await handle.page({ ...options, limit: part, ...(cursor && { cursor }) })
    for (const { id, state, blocked } of page.entries) {
      const { pid } = handle.ref(id)
      rows.push(entityRow({ id, pid, state: shown.printed(state), blocked: blocked?.message }))
    }
    cursor = page.cursor
    await nextTurn(app.system)
  } while (cursor !== undefined && rows.length < limit)
  return entityTable(kind, rows, cursor)
}
