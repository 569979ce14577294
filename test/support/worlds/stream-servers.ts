/**
 * Real processes that serve durable streams over HTTP, alone or as members of a folder, and are killed, stopped and begun again.
 * Their client asks whichever of them is there.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { tempFolder } from '../temp-folder.ts'

/** A program that is forked, and what it is given before the folder and the members. */
export type ServingProgram = { readonly path: string | URL; readonly words: readonly string[] }

/** Streams by themselves. Long-polls without a message end after a second. */
const bareStreams: ServingProgram = {
  path: new URL('../programs/stream-server.mjs', import.meta.url),
  words: ['1000'],
}

/** The processes, over all their lives. */
export class StreamServers {
  readonly #dir = tempFolder()
  readonly #names: readonly string[]
  readonly #program: ServingProgram
  readonly #onMessage: (message: unknown, at: number) => void
  readonly #children: ChildProcess[] = []
  readonly #ports: (number | undefined)[] = []
  #oneServes: () => void = () => undefined
  #coming = this.#next()

  /** `onMessage` gets what a process says after its port. */
  constructor(
    count: number,
    program: ServingProgram = bareStreams,
    onMessage: (message: unknown, at: number) => void = () => undefined,
  ) {
    this.#names = ['a', 'b', 'c', 'd'].slice(0, count)
    this.#program = program
    this.#onMessage = onMessage
  }

  get count(): number {
    return this.#names.length
  }

  /** Begins a life, and resolves when it serves. */
  async begin(at: number): Promise<void> {
    const member = this.count > 1 ? [this.#names[at] as string, this.#names.join()] : []
    const { path, words } = this.#program
    const child = fork(path, [...words, this.#dir, ...member])
    this.#children[at] = child
    const [port] = await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`it ended with ${code}`))),
    ])
    this.#ports[at] = port as number
    child.on('message', (message) => this.#onMessage(message, at))
    this.#oneServes()
    this.#coming = this.#next()
  }

  async kill(at: number): Promise<void> {
    this.#ports[at] = undefined
    const child = this.#children[at]
    const ended = child && once(child, 'exit')
    child?.kill('SIGKILL')
    await ended
  }

  /** Stops a process as a debugger does, or lets it go on. Its connections stay open. */
  signal(at: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#children[at]?.kill(signal)
  }

  /** The port of this process, or of the next one that has not been killed. */
  async port(at: number): Promise<number> {
    for (;;) {
      for (const step of this.#names.keys()) {
        const port = this.#ports[(at + step) % this.count]
        if (port !== undefined) return port
      }
      await this.#coming
    }
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#oneServes = resolve
    })
  }
}

/** A request. `idleMs`: it fails when nothing has come for so long. */
export type StreamRequest = {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly idleMs?: number
}

export type StreamAnswer = {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

const agent = new Agent({ keepAlive: true })

/** The response of a process as it begins. @throws what the connection does */
const responseOf = (
  port: number,
  path: string,
  { method = 'GET', headers = {}, body = '', idleMs = 0 }: StreamRequest,
): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const where = { host: '127.0.0.1', port, path, timeout: idleMs }
    const asked = request({ agent, ...where, method, headers }, resolve)
    asked.on('timeout', () => asked.destroy(new Error('it is silent')))
    asked.on('error', reject)
    asked.end(body)
  })

/** Asks a process. @throws what the connection does */
export const askStream = async (
  port: number,
  path: string,
  terms: StreamRequest = {},
): Promise<StreamAnswer> => {
  const response = await responseOf(port, path, terms)
  const pieces: Buffer[] = []
  for await (const piece of response) pieces.push(piece)
  const text = Buffer.concat(pieces).toString()
  return { status: response.statusCode ?? 0, headers: response.headers, text }
}

/** A browser: it follows a stream by server-sent events, and resumes from the offset after what it has seen. */
export class EventReader<Message> {
  readonly seen: Message[] = []
  isClosed = false
  readonly #path: string
  readonly #idleMs: number
  readonly #onSeen: () => void
  #offset = '-1'
  #pending: readonly Message[] = []

  /** `idleMs`: it leaves a process that says nothing for so long; 0: it stays. `onSeen`: it has seen more, or the end. */
  constructor(path: string, idleMs: number, onSeen: () => void = () => undefined) {
    this.#path = path
    this.#idleMs = idleMs
    this.#onSeen = onSeen
  }

  /** Reads until the answer of a process ends. @throws what the connection does */
  async read(port: number): Promise<void> {
    const path = `${this.#path}?offset=${this.#offset}&live=sse`
    const response = await responseOf(port, path, { idleMs: this.#idleMs })
    let text = ''
    response.setEncoding('utf8')
    for await (const piece of response) {
      if (response.statusCode !== 200) continue
      text += piece
      const events = text.split('\n\n')
      text = events.pop() ?? ''
      for (const event of events) this.#take(event)
    }
  }

  /** A control has the offset after the data before it: both count, or neither. */
  #take(event: string): void {
    const data = [...event.matchAll(/^data:(.*)$/gm)].map(([, line]) => line).join('\n')
    if (event.startsWith('event: data')) {
      this.#pending = JSON.parse(data)
      return
    }
    const control = JSON.parse(data)
    this.seen.push(...this.#pending)
    this.#pending = []
    this.#offset = control.streamNextOffset
    this.isClosed = control.streamClosed === true
    this.#onSeen()
  }
}
