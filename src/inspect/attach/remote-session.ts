/** The session of an attached prompt, on the prompt's side: it asks the instance over a socket. */
import { type Clock, systemClock } from '../../clock.ts'
import { type ErrorCode, isKeelsonError, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { packageVersion } from '../../package-version.ts'
import { answerIn } from '../observe/questions.ts'
import type { Answer, Completion, Session } from '../prompt/session.ts'
import { errorText } from '../text/error-view.ts'
import { durationText } from '../text/quantities.ts'
import {
  type Asked,
  type Greeting,
  lineMax,
  lineOf,
  MessageReader,
  type Opening,
  type Outgoing,
  otherProtocol,
  protocol,
  type Request,
} from './attach-protocol.ts'
import { type AttachPlace, connectIn, type Socket } from './attach-socket.ts'

type Waiting = {
  readonly resolve: (answer: never) => void
  readonly reject: (reason: KeelsonError) => void
}

/** An instance that is busy answers late. It has so long to begin a session, in ms. */
const greetingMs = 10_000

/** As long has a member of several: another one may answer sooner. */
const memberGreetingMs = 2_000

type GreetingTerms = { readonly clock?: Clock; readonly withinMs?: number }

type Opened = { readonly session: RemoteSession; readonly greeting: Greeting }

/** A session in another process. Its calls reject when the connection ends. */
export class RemoteSession implements Session {
  /** Rejects when the connection ends, with the reason. */
  readonly ended: Promise<never>
  readonly #socket: Socket
  readonly #reader = new MessageReader(Number.POSITIVE_INFINITY)
  readonly #waiting = new Map<number, Waiting>()
  #requests = 0
  #onLine: (line: string) => void = () => undefined
  #onLog: (line: string) => void = () => undefined
  #greeted: ((greeting: Greeting) => void) | undefined
  #end: (reason: KeelsonError) => void = () => undefined
  #reason: KeelsonError | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    this.ended = new Promise((_, reject) => {
      this.#end = (reason) => {
        this.#reason ??= reason
        reject(reason)
        for (const waiting of this.#waiting.values()) waiting.reject(reason)
        this.#waiting.clear()
      }
    })
    this.ended.catch(() => undefined)
  }

  /**
   * Opens a session with the instance in `place`. Aborting `signal` ends it, also while it opens.
   * @throws KeelsonError `NO_PROCESS`, `READ_ONLY`; `UNSUPPORTED_VERSION` if the instance is of a
   * version with another protocol; `CLOSED` if it ends; `TIMEOUT` if it does not answer in time
   */
  static async open(
    place: AttachPlace,
    options: Pick<Opening, 'colours' | 'verbose' | 'log' | 'observe'>,
    signal?: AbortSignal,
    { clock = systemClock(), withinMs = greetingMs }: GreetingTerms = noOptions,
  ): Promise<Opened> {
    const socket = await connectIn(place)
    const session = new RemoteSession(socket)
    // The system takes connections of a process that is stopped.
    const greeted = clock.after(withinMs, () => {
      session.#end(silence(place.member === undefined ? [] : [place.member], withinMs))
      socket.destroy()
    })
    const leave = (): void => session.close()
    signal?.addEventListener('abort', leave)
    session.ended.catch(() => signal?.removeEventListener('abort', leave))
    if (signal?.aborted) leave()
    try {
      const greeting = await session.#greeting()
      if (greeting.protocol !== protocol) throw otherProtocol(packageVersion(), greeting.version)
      socket.write(lineOf({ protocol, version: packageVersion(), ...options }))
      return { session, greeting }
    } catch (error) {
      socket.destroy()
      throw error
    } finally {
      greeted()
    }
  }

  /**
   * As `open`. Of members that share the folder it is the first one that answers, unless one is
   * chosen: any member answers for all of them. `silent`: the members before it.
   * @throws KeelsonError as `open`; `TIMEOUT` with the names of the members if none answers
   */
  static async openAny(
    place: AttachPlace,
    options: Parameters<typeof RemoteSession.open>[1],
    signal?: AbortSignal,
    { clock, withinMs = memberGreetingMs }: GreetingTerms = noOptions,
  ): Promise<Opened & { readonly silent: readonly string[]; readonly member?: string }> {
    const others = clock === undefined ? {} : { clock }
    try {
      const opened = await RemoteSession.open(place, options, signal, others)
      return Object.assign(opened, { silent: [] })
    } catch (error) {
      const members = place.member === undefined ? membersOf(error) : []
      if (members.length === 0) throw error
      const silent: string[] = []
      for (const member of members) {
        const of = { dir: place.dir, member }
        const terms = Object.assign({ withinMs }, others)
        const opening = RemoteSession.open(of, options, signal, terms)
        const opened = await opening.catch((refusal: unknown) => {
          if (isKeelsonError(refusal, 'TIMEOUT')) silent.push(member)
          else throw refusal
        })
        if (opened) return Object.assign(opened, { silent, member })
      }
      throw silence(silent, withinMs)
    }
  }

  async run(source: string): Promise<Answer> {
    const refusal = refusalOf(source)
    if (refusal) return { isUnfinished: false, text: errorText(refusal), hasFailed: true }
    return this.#asked({ run: source })
  }

  async complete(line: string): Promise<Completion> {
    const refusal = refusalOf(line)
    if (refusal) throw refusal
    return (await this.#asked<{ completion: Completion }>({ complete: line })).completion
  }

  /** The answer to a question or an action, while observing. @throws KeelsonError its refusal */
  async ask(request: Asked): Promise<unknown> {
    return answerIn(await this.#asked(request))
  }

  /** Calls `print` with each line that nothing asked for. */
  onLine(print: (line: string) => void): void {
    this.#onLine = print
  }

  /** Calls `print` with each line of the log, if the session was opened with it. */
  onLog(print: (line: string) => void): void {
    this.#onLog = print
  }

  /** Leaves. The instance goes on. */
  close(): void {
    this.#socket.destroy()
  }

  /** Begins to read; the first message. */
  #greeting(): Promise<Greeting> {
    const socket = this.#socket
    socket.on('data', (bytes: Buffer) => this.#take(bytes))
    socket.on('error', () => undefined)
    socket.on('close', () =>
      this.#end(
        new KeelsonError('CLOSED', 'the connection is lost: the instance has ended, or was killed'),
      ),
    )
    const greeting = new Promise<Greeting>((resolve) => {
      this.#greeted = resolve
    })
    return Promise.race([greeting, this.ended])
  }

  #take(bytes: Buffer): void {
    try {
      for (const message of this.#reader.read(bytes)) {
        const greeted = this.#greeted
        this.#greeted = undefined
        if (greeted) greeted(message as Greeting)
        else this.#received(message as Outgoing)
      }
    } catch (error) {
      this.#end(error as KeelsonError)
      this.#socket.destroy()
    }
  }

  #received(message: Outgoing): void {
    if ('line' in message) this.#onLine(message.line)
    else if ('log' in message) this.#onLog(message.log)
    else if ('end' in message)
      this.#end(new KeelsonError(message.end.code as ErrorCode, message.end.message))
    else {
      this.#waiting.get(message.id)?.resolve(message as never)
      this.#waiting.delete(message.id)
    }
  }

  #asked<A>(request: Request): Promise<A> {
    // A race with `ended` would keep each answer for as long as the connection lasts.
    return new Promise<A>((resolve, reject) => {
      if (this.#reason) return reject(this.#reason)
      const id = ++this.#requests
      this.#waiting.set(id, { resolve, reject })
      this.#socket.write(lineOf({ id, ...request }))
    })
  }
}

/** The members that take prompts, if no instance has the folder for itself. */
const membersOf = (error: unknown): readonly string[] => {
  if (!isKeelsonError(error, 'NO_PROCESS')) return []
  const { members } = error.details as { readonly members?: readonly string[] }
  return members ?? []
}

/** The error of an instance, or of members, without an answer in time. */
export const silence = (members: readonly string[], withinMs: number): KeelsonError => {
  const [first] = members
  const of = first === undefined ? '' : ` from ${membersText(members)}`
  return new KeelsonError(
    'TIMEOUT',
    `no answer${of} within ${durationText(withinMs)}: its process is stopped, or code holds its event loop up`,
    { details: { members } },
  )
}

/** `member a`, `members a, b`. */
export const membersText = (members: readonly string[]): string =>
  `${members.length === 1 ? 'member' : 'members'} ${members.join(', ')}`

/** The bytes of a request around its text, and some more. */
const aroundMax = 64

/** Why the instance would not read a text: the connection would end at it. */
const refusalOf = (text: string): KeelsonError | undefined => {
  const size = Buffer.byteLength(JSON.stringify(text))
  const most = lineMax - aroundMax
  return size <= most
    ? undefined
    : new KeelsonError('TOO_LARGE', `a line has ${size} bytes as JSON, more than ${most}`)
}
