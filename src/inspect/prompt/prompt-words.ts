/**
 * The words of the prompt: commands that inspect and control an instance, its handles, and a
 * function for each kind of part, so that `info(wal_writer(0))` reads as it is printed.
 */
import { inspect } from 'node:util'
import { type Ref, summaryOf } from '../../runtime/index.ts'
import type { App } from '../../supervisors/index.ts'
import { nameWith, processTitle, shownName } from '../answers/process-finder.ts'
import { surveyLogs, surveyProjections } from '../answers/shard-survey.ts'
import type { Paint } from '../text/paint.ts'
import { View } from '../text/view.ts'
import { clusterView } from '../views/cluster-view.ts'
import {
  journalView,
  logView,
  projectionView,
  replicationView,
  userProjectionView,
} from '../views/shard-view.ts'
import { actingWords } from './acting-words.ts'
import { entityWords, shownEntities } from './entity-words.ts'
import { failureWords } from './failure-words.ts'
import { FlowWords } from './flow-words.ts'
import { historyWords } from './history-words.ts'
import { lookingWords } from './looking-words.ts'
import { ShownValues, shownValues } from './shown-values.ts'
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
  const words = { ...wordsOf(app, paint, shown), app: promptApp(app, control, shown), control }
  const h = (word?: unknown) =>
    word === undefined ? new View(helpText) : wordHelp({ ...words, h }, word)
  return { ...words, h, [shownValues]: shown }
}

/**
 * The app of a prompt, with its control: what it suspends ends with the prompt.
 */
const promptApp = (app: App, control: App['control'], shown: ShownValues): App =>
  new Proxy(app, {
    get: (target, name) => {
      if (name === 'control') return control
      if (name === 'entity') return (kind: string) => shownEntities(app, target.entity(kind), shown)
      const part: unknown = Reflect.get(target, name, target)
      return typeof part === 'function' ? part.bind(target) : part
    },
  })

const wordsOf = (app: App, paint: Paint, shown: ShownValues): PromptWords => ({
  ...partWords(app),
  ...partViews(app, paint),
  ...lookingWords(app, paint, shown),
  ...entityWords(app, shown),
  ...historyWords(app, shown),
  ...actingWords(app, shown),
  ...failureWords(app, paint),
  store: app.store,
  flow: new FlowWords(app, paint),
  help: helpWord(),
})

/** The words about the parts of an instance. */
const partViews = (app: App, paint: Paint) => ({
  wal: async () => {
    const [shard] = app.shards
    const durability = shard?.parts.settings.wal ?? { enableFsync: true, syncInterval: undefined }
    return new View(logView(await surveyLogs(app), durability, paint))
  },
  cluster: () => new View(clusterView(app.health().cluster, paint)),
  replication: () => new View(replicationView(app.health().replication, paint)),
  /** Without arguments a view; otherwise the name of a process. */
  journal: (...parts: unknown[]) =>
    parts.length === 0
      ? new View(journalView(app.health().shards, paint))
      : nameWith('journal', parts),
  projections: async () => {
    const projections = await surveyProjections(app)
    const shards = projectionView(projections, app.system.clock.now(), titleOf, paint)
    const users = userProjectionView(app.health().projections, paint)
    return new View(users === '' ? shards : `${shards}\n\n${users}`)
  },
})

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

/** `help` prints the list as a word and as a call. */
const helpWord = (): unknown =>
  Object.assign(() => new View(helpText), { [inspect.custom]: () => helpText })

/** The words of the instance's processes, for completion. */
export const processWords = (app: App): string[] =>
  app.system.inspectProcesses({ limit: wordsMax }).flatMap((process) => shownName(process) ?? [])
