/** The session of an attached prompt, on the prompt's side: it asks the instance over a socket. */
import { type ErrorCode, isKeelsonError, KeelsonError } from '../../errors.ts'
import { answerIn } from '../observe/questions.ts'
import type { Answer, Completion, Session } from '../prompt/session.ts'
import { errorText } from '../text/error-view.ts'
import { packageVersion } from '../text/package-version.ts'
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
   * version with another protocol; `CLOSED` if it ends
   */
  static async open(
    place: AttachPlace,
    options: Pick<Opening, 'colours' | 'verbose' | 'log' | 'observe'>,
    signal?: AbortSignal,
  ): Promise<{ readonly session: RemoteSession; readonly greeting: Greeting }> {
    const socket = await connectIn(place)
    const session = new RemoteSession(socket)
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
    }
  }

  /**
   * As `open`. Of members that share the folder it is the first one that listens, unless one is
   * chosen: what is asked any member answers for all of them.
   */
  static async openAny(
    ...[place, ...rest]: Parameters<typeof RemoteSession.open>
  ): ReturnType<typeof RemoteSession.open> {
    try {
      return await RemoteSession.open(place, ...rest)
    } catch (error) {
      const member = place.member === undefined ? firstOf(error) : undefined
      if (member === undefined) throw error
      return RemoteSession.open({ ...place, member }, ...rest)
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

/** A member that takes prompts, if no instance has the folder for itself. */
const firstOf = (error: unknown): string | undefined => {
  if (!isKeelsonError(error, 'NO_PROCESS')) return undefined
  const { members } = error.details as { readonly members?: readonly string[] }
  return members?.[0]
}

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
