/**
 * The words of the prompt: commands that inspect and control an instance, its handles, and a
 * function for each kind of part, so that `info(wal_writer(0))` reads as it is printed.
 */
import { inspect } from 'node:util'
import { parkedOf, shownRows, shownState, surveyEntity } from '../../actors/index.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import {
  type CallOptions,
  call,
  cast,
  getStatus,
  messageNames,
  type ProcessInfo,
  type Ref,
  replyShownBy,
  resume,
  send,
  suspend,
} from '../../runtime/index.ts'
import type { App, BackupOptions } from '../../supervisors/index.ts'
import type { Paint } from '../text/paint.ts'
import { factList } from '../text/text-table.ts'
import { View } from '../text/view.ts'
import { type EntityFacts, entityFacts, type KindFacts, kindTable } from './entity-view.ts'
import { FlowWords } from './flow-words.ts'
import { findProcess, nameWith, processTitle, shownName } from './process-finder.ts'
import {
  busiest,
  type Load,
  type LoadCounts,
  type Look,
  loadQuery,
  loadTable,
  look,
} from './process-load.ts'
import { processAt, processPages } from './process-pages.ts'
import { FoldedTable, namesMax, pageTable, processFacts, rowsMax } from './process-view.ts'
import { replicationView } from './replication-view.ts'
import { surveyLogs, surveyProjections } from './shard-survey.ts'
import { journalView, logView, projectionView, userProjectionView } from './shard-view.ts'
import { ShownValues, shownValues } from './shown-values.ts'
import { traceFeed } from './trace-view.ts'
import { surveyTree } from './tree-survey.ts'
import { treeView } from './tree-view.ts'
import { wordHelp } from './word-help.ts'

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
  const words = { ...wordsOf(app, paint, shown), app: promptApp(app, control, shown), control }
  const h = (word?: unknown) =>
    word === undefined ? new View(helpText) : wordHelp({ ...words, h }, word, commands)
  return { ...words, h, [shownValues]: shown }
}

/**
 * The app of a prompt, with its control: what it suspends ends with the prompt. It is printed as a
 * title, since its fields are the inside of the instance.
 */
const promptApp = (app: App, control: App['control'], shown: ShownValues): App =>
  new Proxy(app, {
    get: (target, name) => {
      if (name === 'control') return control
      if (name === 'entity') return (kind: string) => shownEntities(app, target.entity(kind), shown)
      if (name === inspect.custom) return () => `the instance in ${app.dir}`
      const part: unknown = Reflect.get(target, name, target)
      return typeof part === 'function' ? part.bind(target) : part
    },
  })

type Handle = ReturnType<App['entity']>

/** The handle of a kind, whose states are printed as its server lets them be shown. */
const shownEntities = ({ entities }: App, handle: Handle, shown: ShownValues): Handle => {
  const marked = (state: unknown) => shown.mark(state, shownState(entities, handle.kind, state))
  const own = {
    state: (id: string) => marked(handle.state(id)),
    list: (options?: Parameters<Handle['list']>[0]) => {
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

const wordsOf = (app: App, paint: Paint, shown: ShownValues): PromptWords => ({
  ...partWords(app),
  ...lookingWords(app, paint, shown),
  ...actingWords(app, shown),
  store: app.store,
  flow: new FlowWords(app, paint),
  health: () => app.health(),
  help: helpWord(),
})

const lookingWords = (app: App, paint: Paint, shown: ShownValues) => ({
  tree: async () => new View(treeView(await surveyTree(app), paint)),
  ps: async (options?: unknown) => {
    const { all, after = 0 } = (options ?? {}) as {
      readonly all?: unknown
      readonly after?: unknown
    }
    const isWrong = typeof all !== 'boolean' || typeof after !== 'number'
    if (options !== undefined && isWrong)
      throw invalidArgument('ps', 'nothing, or { all: true, after: pid }', options)
    if (all === true && typeof after === 'number')
      return new View(pageTable(app.system.inspectProcesses({ after, limit: rowsMax }), paint))
    const table = new FoldedTable()
    for await (const page of processPages(app.system)) table.add(page)
    return new View(table.text(paint))
  },
  entities: () => new View(kindTable(kindsOf(app))),
  entity: (kind: string, id: string) => new View(entityFacts(entityOf(app, kind, id, shown))),
  top: topWord(app, paint),
  info: async (process: unknown) => {
    const resting = restingEntity(app, process)
    if (resting) return new View(entityFacts(entityOf(app, resting.kind, resting.id, shown)))
    const info = infoOf(app, process)
    const { parent = 0, links, monitors, monitoredBy } = info
    const ties = [links, monitors, monitoredBy].flatMap((pids) => pids.slice(0, namesMax))
    const titleOf = await titlesOf(app, [parent, ...ties])
    return new View(processFacts(info, titleOf, app.system.clock.now()))
  },
  state: async (process: unknown) => {
    const { state } = await getStatus(refOf(app, process))
    return shown.mark(state, state)
  },
  trace: async (process: unknown, count?: unknown) => traceFeed(findProcess(app, process), count),
  wal: async () => {
    const [shard] = app.shards
    const durability = shard?.parts.settings.wal ?? { enableFsync: true, syncInterval: undefined }
    return new View(logView(await surveyLogs(app), durability, paint))
  },
  replication: () => new View(replicationView(app.health().replication, paint)),
  /** Without arguments a view; otherwise the name of a process. */
  journal: (...parts: unknown[]) =>
    parts.length === 0
      ? new View(journalView(app.health().shards, paint))
      : nameWith('journal', parts),
  projections: async () => {
    const projections = await surveyProjections(app)
    const shards = projectionView(projections, app.system.clock.now(), titleIn(app), paint)
    const users = userProjectionView(app.health().projections, paint)
    return new View(users === '' ? shards : `${shards}\n\n${users}`)
  },
})

/** The process with its ties. */
const infoOf = (app: App, process: unknown): ProcessInfo => {
  const { ref } = findProcess(app, process)
  const info = app.system.info(ref)
  if (info) return info
  throw new KeelsonError('NO_PROCESS', `there is no process ${String(ref)}`)
}

/** The title of the process with a pid. */
const titleIn =
  ({ system }: App) =>
  (pid: number): string => {
    const found = processAt(system, pid)
    return found ? processTitle(found) : `<${pid}>`
  }

/** The titles of many processes, as far as they run now: a search for each would take too long. */
const titlesOf = async (
  { system }: App,
  pids: readonly number[],
): Promise<(pid: number) => string> => {
  const sought = new Set(pids)
  const titles = new Map<number, string>()
  for await (const page of processPages(system)) {
    for (const process of page)
      if (sought.delete(process.pid)) titles.set(process.pid, processTitle(process))
    if (sought.size === 0) break
  }
  return (pid) => titles.get(pid) ?? `<${pid}>`
}

const kindsOf = ({ entities }: App): KindFacts[] =>
  entities.kinds.flatMap((kind) => {
    const running = entities.kind(kind)
    if (!running) return []
    const parked = [...parkedOf(entities, kind)].length
    return [{ kind, live: running.live, blocked: running.blocked.size, parked }]
  })

/** @throws KeelsonError `INVALID_ARGUMENT` for a kind that never ran, or a wrong id */
const entityOf = (app: App, kind: string, id: string, shown: ShownValues): EntityFacts => {
  const { pid } = app.entity(kind).ref(id)
  const entity = `${kind}/${id}`
  const blocked = app.entities.kind(kind)?.blocked.get(id)?.message
  const rows = surveyEntity(app.entities, entity)
  const isHidden = rows !== undefined && !shown.reveals
  return {
    entity,
    pid,
    blocked,
    rows: isHidden ? shownRows(app.entities, { kind, id }, rows) : rows,
  }
}

/** `top` keeps its last sample for comparison. */
const topWord = (app: App, paint: Paint) => {
  let last: Look | undefined
  return async (by?: unknown, count?: unknown) => {
    const { order, rows } = loadQuery(by, count)
    const counts = new Map<number, LoadCounts>()
    const at = app.system.clock.monotonic()
    const before = last
    let loads: readonly Load[] = []
    for await (const page of processPages(app.system)) {
      for (const [pid, count] of look(page, at).counts) counts.set(pid, count)
      loads = busiest(page, before, order, rows, loads)
    }
    last = { at, counts }
    return new View(loadTable(loads, before && at - before.at, paint))
  }
}

const actingWords = (app: App, shown: ShownValues) => ({
  backup: (dir: string, options?: BackupOptions) => app.backup(dir, options),
  // A wrong process throws at once: in a loop nobody awaits the promise.
  kill: (process: unknown) => {
    const info = findProcess(app, process)
    app.system.kill(info.ref)
    const killed = new View(`killed ${processTitle(info)}`)
    return untilNoticed(app, info.parent).then(() => killed)
  },
  suspend: (process: unknown) => {
    const info = findProcess(app, process)
    const suspended = `suspended ${processTitle(info)}; its messages wait until resume`
    return suspend(info.ref).then(() => new View(suspended))
  },
  resume: (process: unknown) => {
    const info = findProcess(app, process)
    return resume(info.ref).then(() => new View(`resumed ${processTitle(info)}`))
  },
  call: async (process: unknown, message: string, payload?: unknown, options?: CallOptions) => {
    const ref = understanding(app, process, 'calls', message)
    const shownBy = replyShownBy(ref)
    const reply = await call(ref, message, payload, options)
    return shown.mark(reply, shownBy(reply))
  },
  cast: (process: unknown, message: string, payload?: unknown) =>
    cast(understanding(app, process, 'casts', message), message, payload),
  send: (process: unknown, message: string, payload?: unknown) => {
    wakeEntity(app, process)
    return send(refOf(app, process) as Ref<AnyMessages>, message, payload)
  },
})

/** A message to an entity wakes it. */
const wakeEntity = (app: App, target: unknown): void => {
  const named = entityNamed(app, target)
  if (named) app.entities.wake(named.kind, named.id)
}

/** The entity `order/42`, or that of a ref, if its kind runs. */
const entityNamed = ({ entities }: App, target: unknown) => {
  const named = typeof target === 'string' ? target : (target as Ref | undefined)?.name
  const [, kind, id] = /^([a-z][\w-]*)\/(.+)$/s.exec(named ?? '') ?? []
  if (kind === undefined || id === undefined || entities.kind(kind) === undefined) return undefined
  // In an instance with another name, names of processes end with it.
  const suffix = entities.nameOf('')
  return { kind, id: id.endsWith(suffix) ? id.slice(0, id.length - suffix.length) : id }
}

/** The entity, if it has no process now. */
const restingEntity = (app: App, target: unknown) => {
  const named = entityNamed(app, target)
  return named && app.entity(named.kind).ref(named.id).pid === undefined ? named : undefined
}

/** The payloads of a process are not known here: any passes. */
type AnyMessages = Record<
  'calls' | 'casts' | 'infos',
  Record<string, (payload: unknown) => unknown>
>

/**
 * The process, if it has a handler for the message: an unknown one would end it.
 * @throws KeelsonError `INVALID_ARGUMENT`, `NO_PROCESS`
 */
const understanding = (
  app: App,
  process: unknown,
  section: 'calls' | 'casts',
  message: string,
): Ref<AnyMessages> => {
  wakeEntity(app, process)
  const info = findProcess(app, process)
  const names = messageNames(info.ref)?.[section]
  // Those with a `$` are its own, and not for users.
  if (names && !names.includes(message))
    throw invalidArgument(
      `${section} of ${processTitle(info)}`,
      names.filter((name) => !name.startsWith('$')).join(', ') || 'none',
      message,
    )
  return info.ref as Ref<AnyMessages>
}

/**
 * Resolves when the supervisor `pid` has dealt with the end of its child: it answers after that, so
 * an immediate restart has happened. No supervisor, one that ends or one that is held up is not
 * waited for.
 */
const untilNoticed = async ({ system }: App, pid: number | undefined): Promise<void> => {
  const above = pid === undefined ? undefined : processAt(system, pid)
  if (!above?.kind.endsWith('supervisor')) return
  await call(above.ref as Ref<AnyMessages>, 'whichChildren', undefined).catch(() => undefined)
}

const refOf = (app: App, process: unknown): Ref => findProcess(app, process).ref

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
    flush: () => app.batcher.flush(),
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

const commands: readonly (readonly [string, string])[] = [
  ['tree()', 'the supervision tree: status, waiting messages, restarts, and why a part is down'],
  ['ps(), ps({ all: true })', 'every process, in a table; those of entities only with all'],
  ['entities()', 'the kinds of entities: how many live, are blocked, have parked steps'],
  ["entity('order', '42')", 'one entity: its state, its last turn, what is pending'],
  ["top(), top('queue', 20)", 'who did most since the last look: by handled, queue or grown'],
  ['info(p)', 'one process whole: what it does, its queue, links, monitors'],
  ['state(p)', 'the state of a server'],
  ['trace(p, count)', 'its next messages, replies and steps, as they happen; 0 ends it'],
  ['kill(p)', 'ends a process, untrappably; its supervisor starts it again'],
  ['suspend(p), resume(p)', 'lets the messages of a process wait, and go on'],
  ['call(p, name, payload)', 'calls a server and awaits its answer'],
  ['cast(p, …), send(p, …)', 'the same for a cast, an info; false: the message was not taken'],
  ['store', 'keys and values: store.put(key, value), get, delete, range({ prefix }) …'],
  [
    'flow',
    "workflows and queues: flow.list(), list('order'), show('order', '42'), retry, dead('mails') …",
  ],
  ['control', 'projections: control.flushAll(), suspend(shard), resume(shard), reopen(shard) …'],
  [
    'batcher',
    'windows: batcher.windows(), setWindow(namespace, ms), changes(), flush(); the process: batcher(0)',
  ],
  ['backup(dir)', 'copies the instance into a folder; later only what is new'],
  ['wal()', 'each log: LSNs, segments, recovery, durability'],
  ['journal()', 'each journal: subscriptions, saved states, the log kept; the process: journal(0)'],
  ['projections()', 'each projection: lag, rows, outbox, suspensions'],
  ['replication()', 'each replica: its state, its lag, and why it waits'],
  ['health()', 'what app.health() says'],
  ['app', 'the instance: app.health(), app.system …'],
  ['help, h(name)', 'this list; one command of it; what store and control can do'],
  ['exit, quit', 'end the prompt, as Ctrl-D does, and the instance unless attached'],
]

/** The output of `help`. */
export const helpText = `${factList(commands)}

p is a process: wal_writer(0), applier(0), lmdb_writer(0), blob_store(0), control, 'any name' or a pid.
A line is JavaScript; a promise is awaited.`

/** `help` prints the list as a word and as a call. */
const helpWord = (): unknown =>
  Object.assign(() => new View(helpText), { [inspect.custom]: () => helpText })

/** The words of the instance's processes, for completion. */
export const processWords = (app: App): string[] =>
  app.system.inspectProcesses({ limit: wordsMax }).flatMap((process) => shownName(process) ?? [])
