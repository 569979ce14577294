/**
 * The words that act on processes: messages to them, their suspension and their end. They are apart
 * from `looking-words.ts`, so that it is plain which words change anything.
 */
import { invalidArgument, isKeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import {
  type CallOptions,
  call,
  cast,
  getStatus,
  machineOf,
  machineOutline,
  messageNames,
  type ProcessSummary,
  type Ref,
  replyShownBy,
  resume,
  type ServerStatus,
  send,
  statistics,
  suspend,
} from '../../runtime/index.ts'
import type { App, BackupOptions } from '../../supervisors/index.ts'
import { unlessSilent } from '../answers/member-looks.ts'
import {
  findProcess,
  type NamedEntity,
  namedEntity,
  ownerOf,
  processTitle,
  type Soon,
  whenFound,
} from '../answers/process-finder.ts'
import { processAt } from '../answers/process-pages.ts'
import { View } from '../text/view.ts'
import { stateText } from '../views/machine-view.ts'
import type { ShownValues } from './shown-values.ts'

/** The word `backup`. It takes as long as there is data: a pause of a member does not end it. */
export const backupWord = (app: App) => (dir: string, options?: BackupOptions) =>
  unlessSilent(app, 'backup()', app.backup(dir, options), true)

/**
 * The words. They act at once, in a loop too that awaits nothing, on a process that has a name, a pid
 * or a ref. One that is only shown by its label is sought among all processes first.
 */
export const actingWords = (app: App, shown: ShownValues) => ({
  kill: (process: unknown) =>
    whenFound(findProcess(app, process), (info) => {
      app.system.kill(info.ref)
      const killed = new View(`killed ${processTitle(info)}`)
      return untilNoticed(app, info.parent).then(() => killed)
    }),
  suspend: (process: unknown) =>
    whenFound(findProcess(app, process), (info) => {
      const suspended = `suspended ${processTitle(info)}; its messages wait until resume`
      return suspend(info.ref).then(() => new View(suspended))
    }),
  resume: (process: unknown) =>
    whenFound(findProcess(app, process), (info) =>
      resume(info.ref).then(() => new View(`resumed ${processTitle(info)}`)),
    ),
  call: async (process: unknown, message: string, payload?: unknown, options?: CallOptions) => {
    return whenFound(understanding(app, process, 'calls', message), async (ref) => {
      const shownBy = replyShownBy(ref)
      const reply = await call(ref, message, payload, options)
      return shown.mark(reply, shownBy(reply))
    })
  },
  cast: (process: unknown, message: string, payload?: unknown) =>
    whenFound(understanding(app, process, 'casts', message), (ref) => cast(ref, message, payload)),
  send: (process: unknown, message: string, payload?: unknown) =>
    whenFound(understanding(app, process, 'infos', message), (ref) => send(ref, message, payload)),
  event: (process: unknown, event: unknown) =>
    whenFound(woken(app, process), (info) => sendEvent(info, event)),
})

/** The payloads of a process are not known here: any passes. */
type AnyMessages = Record<
  'calls' | 'casts' | 'infos',
  Record<string, (payload: unknown) => unknown>
>

/** The process for a message: an entity at rest wakes. @throws KeelsonError `NO_PROCESS` */
const woken = (app: App, target: unknown) => {
  const named = namedEntity(app, target)
  if (named) app.entities.wake(named.kind, named.id)
  return findProcess(app, target)
}

/**
 * The process, if it has a handler for the message: an unknown call or cast would end it, and an
 * unknown info would only be logged.
 * @throws KeelsonError `INVALID_ARGUMENT`, `NO_PROCESS`
 */
const understanding = (
  app: App,
  process: unknown,
  section: 'calls' | 'casts' | 'infos',
  message: string,
): Soon<Ref<AnyMessages>> => {
  const named = namedEntity(app, process)
  return named && ownerOf(app, named) !== undefined
    ? refThere(app, named, section, message)
    : whenFound(woken(app, process), (info) => refFor(info, section, message))
}

/** The ref of an entity that another member has: all have the same servers. */
const refThere = (
  { entities }: App,
  { kind, id }: NamedEntity,
  section: 'calls' | 'casts' | 'infos',
  message: string,
): Ref<AnyMessages> => {
  const names = Object.keys(entities.known.get(kind)?.[section] ?? noOptions)
  if (names.includes(message)) return entities.ref(kind, id)
  throw invalidArgument(`${section} of ${kind}/${id}`, names.join(', ') || 'none', message)
}

const refFor = (
  info: ProcessSummary,
  section: 'calls' | 'casts' | 'infos',
  message: string,
): Ref<AnyMessages> => {
  const names = messageNames(info.ref)?.[section]
  const ref = info.ref as Ref<AnyMessages>
  if (names === undefined || names.includes(message)) return ref
  const isMachine = machineOf(info.ref) !== undefined
  // Names with a `$` are its own, and the infos of a machine too.
  const known = section === 'infos' && isMachine ? [] : names
  const listed = known.filter((name) => !name.startsWith('$')).join(', ') || 'none'
  const hint = isMachine ? `${listed}; event(p, event) sends it an event` : listed
  throw invalidArgument(`${section} of ${processTitle(info)}`, hint, message)
}

/**
 * Sends an event to a machine, and says where it was and where it is then. False: its mailbox is
 * full.
 * @throws KeelsonError `INVALID_ARGUMENT`, `NO_PROCESS`
 */
const sendEvent = (info: ProcessSummary, given: unknown): Promise<View | false> => {
  const title = processTitle(info)
  const outline = machineOutline(machineOf(info.ref))
  if (!outline) throw invalidArgument('event', 'a process of the kind machine', title)
  const event = typeof given === 'string' ? { type: given } : given
  const { type } = (event ?? {}) as { readonly type?: unknown }
  if (typeof type !== 'string')
    throw invalidArgument('event', "'NAME', or { type: 'NAME', … }", given)
  if (!outline.takes(type))
    throw invalidArgument(`events of ${title}`, outline.events.join(', ') || 'none', type)
  const before = getStatus(info.ref)
  const isTaken = cast(info.ref as Ref<AnyMessages>, 'event', event)
  return before.then<View | false>((was) => (isTaken ? transition(info, was) : false))
}

/** The effect on a machine of an event that was sent before. */
const transition = async (info: ProcessSummary, was: ServerStatus): Promise<View> => {
  const title = processTitle(info)
  if (was.status === 'suspended') return new View(`${title} is suspended; the event waits`)
  const ref = info.ref as Ref<AnyMessages>
  const from = stateText(was.state)
  try {
    // The answer of a durable machine is sent when its turns before that are durable.
    await call(ref, 'snapshot', undefined).catch(() => undefined)
    const to = stateText((await getStatus(ref)).state)
    return new View(`${title}: ${from === to ? `${from}, as before` : `${from} → ${to}`}`)
  } catch (error) {
    if (!isKeelsonError(error, 'EXITED') && !isKeelsonError(error, 'NO_PROCESS')) throw error
    return new View(`${title}: ${from} → ended`)
  }
}

/**
 * Resolves when the supervisor `pid` has dealt with the end of its child: it answers after that, so
 * an immediate restart has happened. No supervisor, one that ends or one that is held up is not
 * waited for.
 */
const untilNoticed = async ({ system }: App, pid: number | undefined): Promise<void> => {
  const above = pid === undefined ? undefined : processAt(system, pid)
  if (!above?.kind.endsWith('supervisor')) return
  await statistics(above.ref, 'get').catch(() => undefined)
}
