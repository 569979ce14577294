/**
 * The process of one attached prompt, in the instance. It runs the lines that come over its socket
 * in its own session. The suspensions of `control` at this prompt belong to it: they end when it
 * ends, by the prompt or in any other way. Its memory is bounded, whatever the other side sends or
 * does not read. It is apart from `attach-server.ts` because each connection has such a process,
 * which may fail alone.
 */
import { Console } from 'node:console'
import { Writable } from 'node:stream'
import { ControlHandle } from '../../actors/index.ts'
import type { Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import { packageVersion } from '../../package-version.ts'
import { onStrayRejection } from '../../process-events.ts'
import {
  type Context,
  type GenServer,
  noReply,
  type System,
  send,
  stop,
} from '../../runtime/index.ts'
import type { App } from '../../supervisors/index.ts'
import { Observer } from '../observe/observer.ts'
import { processWords, promptWords } from '../prompt/prompt-words.ts'
import { LocalSession } from '../prompt/session.ts'
import { recordsOf } from '../recorder/recorder.ts'
import type { Recorded, Records } from '../recorder/records.ts'
import { errorText } from '../text/error-view.ts'
import { colourPaint, plainPaint, printableLines } from '../text/paint.ts'
import { pluralText } from '../text/quantities.ts'
import { shortText } from '../text/shown-text.ts'
import {
  lineMax,
  lineOf,
  MessageReader,
  type Outgoing,
  otherProtocol,
  protocol,
} from './attach-protocol.ts'
import type { Socket } from './attach-socket.ts'

// The log for one attached prompt: its lines as they come, at most 50 a second. The number of the
// other ones follows, so that a flood stays readable, and a reader that is slow loses lines and
// costs the instance no memory.

/** The most lines of the log in a second. One line may have a stack below it. */
export const linesMax = 50

const secondMs = 1_000

/** The reader of a feed. */
export type LogReader = {
  readonly show: (text: string) => void
  /** Whether it has not read what it got. */
  readonly isBehind: () => boolean
}

/** Shows the lines of a log from now on. Returns a function that ends this. */
export const feedLog = (records: Records, clock: Clock, reader: LogReader): (() => void) => {
  let shown = 0
  let missed = 0
  let cancel: (() => void) | undefined
  const wait = (): void => {
    cancel ??= clock.after(secondMs, begin, { holdsProcess: false })
  }
  /** A second is over. */
  const begin = (): void => {
    cancel = undefined
    shown = 0
    if (missed === 0) return
    wait()
    if (reader.isBehind()) return
    reader.show(`… ${pluralText(missed, 'more line')} of the log`)
    missed = 0
  }
  const take = ({ sort, text }: Recorded): void => {
    if (sort !== 'log') return
    wait()
    if (shown === linesMax || reader.isBehind()) missed++
    else {
      shown++
      reader.show(printableLines(text))
    }
  }
  const end = records.listen(take)
  return () => {
    end()
    cancel?.()
  }
}

/** The messages of an attached prompt. Only it sends them. */
export type Messages = {
  calls: Record<never, never>
  casts: Record<never, never>
  infos: {
    /** There may be something to read. */
    look: () => void
  }
}

/** A connection to an instance. The errors of the socket are handled. */
export type Attachment = {
  readonly app: App
  readonly socket: Socket
  /** The name of the prompt in the log. */
  readonly label: string
}

type State = Attachment & {
  readonly reader: MessageReader
  /** `undefined` until the other side has opened it. */
  session: LocalSession | Observer | undefined
  /** Lines that have not settled. */
  running: number
}

/** The most lines that run at a time: a prompt may leave lines alone. */
const runningMax = 256
/** The most characters of an answer. */
const textMax = 2 * 1024 * 1024
/** The most bytes that wait for a reader; with more, it is cut off. */
const waitingMax = 32 * 1024 * 1024

/** An attached prompt. */
export const server: GenServer<Messages, State, Attachment> = {
  kind: 'prompt',

  init: (attachment, context) => {
    const { app, socket } = attachment
    const { self, signal } = context
    const look = (): void => void send(self, 'look')
    socket.on('readable', look)
    socket.on('drain', look)
    // At once, even if it is suspended.
    socket.on('close', () => context.exit(self, 'normal'))
    if (socket.destroyed) return stop('normal')
    signal.addEventListener('abort', () => cut(socket, endOf(signal.reason)), { once: true })
    write(socket, lineOf({ protocol, version: packageVersion(), dir: app.dir, pid: process.pid }))
    return { ...attachment, reader: new MessageReader(lineMax), session: undefined, running: 0 }
  },

  accepts: { calls: {}, casts: {}, infos: { look: () => true } },
  calls: {},
  casts: {},

  infos: {
    look: (state, _, context) => {
      const { socket, reader } = state
      try {
        // Output that the other side does not read holds up its requests.
        while (!socket.writableNeedDrain) {
          const bytes: Buffer | null = socket.read()
          if (bytes === null) break
          for (const message of reader.read(bytes)) take(state, message, context)
        }
      } catch (error) {
        if (!isKeelsonError(error)) throw error
        cut(socket, error)
      }
      return noReply(state)
    },
  },
}

const take = (
  state: State,
  message: Readonly<Record<string, unknown>>,
  context: Context<Messages>,
): void => {
  const { session, socket } = state
  if (!session) {
    state.session = opened(state, message, context)
    return
  }
  if (session instanceof Observer) {
    void session.answer(message).then((message) => say(socket, message))
    return
  }
  const { id, run, complete } = message
  if (typeof id === 'number' && typeof run === 'string') void answer(state, session, id, run)
  else if (typeof id === 'number' && typeof complete === 'string')
    void session.complete(complete).then((completion) => say(socket, { id, completion }))
  else throw new KeelsonError('INVALID_ARGUMENT', 'a message is not one of this protocol')
}

/** The session that the first message asks for. @throws KeelsonError `UNSUPPORTED_VERSION` */
const opened = (
  { app, socket, label }: State,
  message: Readonly<Record<string, unknown>>,
  context: Context<Messages>,
): LocalSession | Observer => {
  if (message.protocol !== protocol)
    throw otherProtocol(JSON.stringify(message.version), packageVersion())
  const { logger } = context.system
  const verbose = message.verbose === true
  const title = `${label} <${context.self.pid}>`
  if (message.observe !== undefined) return observerFor(app, message.observe, title, context)
  // A slip at a prompt must not end the service: a rejection that is not handled is printed.
  const strayRejection = (reason: unknown): void => {
    logger.error(`a rejected promise was not handled: ${errorText(reason)}`, { reason })
    say(socket, { line: `A rejected promise was not handled: ${errorText(reason, verbose)}` })
  }
  const forget = onStrayRejection(strayRejection)
  // A person at a terminal sees the log, and is in it. A command or a script only asks.
  const isPerson = message.log === true
  if (isPerson) logger.info(`${title} is attached`)
  const endOfLog = isPerson ? logFor(socket, context.system) : undefined
  context.signal.addEventListener('abort', () => {
    forget()
    endOfLog?.()
    if (isPerson) logger.info(`${title} has left`)
  })
  const colours = message.colours === true
  const control = ControlHandle.ownedBy(app.control, context.self)
  return new LocalSession({
    words: {
      ...promptWords(app, colours ? colourPaint : plainPaint, control),
      console: consoleOf(socket, colours),
    },
    colours,
    verbose,
    completions: () => processWords(app),
  })
}

/** A session without source. It measures nothing before the first question. */
const observerFor = (
  app: App,
  terms: unknown,
  title: string,
  context: Context<Messages>,
): Observer => {
  const { logger } = context.system
  const { write, user } = Object(terms) as Record<string, unknown>
  const isWriting = write === true
  const observer = new Observer(app, { isWriting, user: shortText(String(user), 100) })
  logger.info(`${title} observes${isWriting ? ', and may write' : ''}`)
  context.signal.addEventListener('abort', () => {
    observer.end()
    logger.info(`${title} has left`)
  })
  return observer
}

/** The lines of the log go to the other side, as long as it reads. */
const logFor = (socket: Socket, system: System): (() => void) =>
  feedLog(recordsOf(system), system.clock, {
    show: (log) => say(socket, { log }),
    isBehind: () => socket.writableNeedDrain,
  })

/** A console whose lines go to the other side. That of the service is not its own. */
const consoleOf = (socket: Socket, colours: boolean): Console => {
  const output = new Writable({
    decodeStrings: false,
    write: (text: string, _, written) => {
      say(socket, { line: shortened(text.replace(/\n$/, '')) })
      written()
    },
  })
  return new Console({ stdout: output, colorMode: colours })
}

const answer = async (
  state: State,
  session: LocalSession,
  id: number,
  source: string,
): Promise<void> => {
  const { socket } = state
  if (state.running === runningMax) {
    const busy = new KeelsonError('BUSY', `${runningMax} lines of this prompt still run`)
    say(socket, { id, isUnfinished: false, text: errorText(busy), hasFailed: true })
    return
  }
  state.running++
  const { feed, text, ...others } = await session.run(source)
  state.running--
  say(socket, { id, ...others, text: text && shortened(text) })
  feed?.show((line) => {
    say(socket, { line })
    return !socket.destroyed
  })
}

const shortened = (text: string): string =>
  text.length <= textMax
    ? text
    : `${text.slice(0, textMax)}\n… and ${text.length - textMax} characters more`

const say = (socket: Socket, message: Outgoing): void => write(socket, lineOf(message))

const write = (socket: Socket, line: string): void => {
  if (socket.destroyed) return
  socket.write(line)
  if (socket.writableLength > waitingMax) socket.destroy()
}

/** Ends the connection. The reason arrives if the other side has read what came before it. */
const cut = (socket: Socket, { code, message }: KeelsonError): void => {
  say(socket, { end: { code, message } })
  socket.destroy()
}

/** The notice of the end of this process for the other side. */
const endOf = (aborted: unknown): KeelsonError => {
  const reason = isKeelsonError(aborted) ? aborted.details.reason : aborted
  return reason === 'shutdown'
    ? new KeelsonError('CLOSED', 'the instance has ended')
    : new KeelsonError('CLOSED', `the prompt was ended: ${reasonText(reason)}`)
}
