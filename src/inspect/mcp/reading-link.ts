/**
 * The connection of `keelson mcp` to its instance. It asks looks and nothing else, and is opened for
 * reading: the instance refuses it everything that acts. After its end the next question connects again.
 */
import type { Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import type { Header, Views } from '../../observe/index.ts'
import { inTime } from '../attach/answer-time.ts'
import type { AttachPlace } from '../attach/attach-socket.ts'
import { RemoteSession } from '../attach/remote-session.ts'

/** A look may take so long, in ms. */
const answerMs = 10_000

/** The error of an instance that cannot be reached, or whose connection ends under a question. */
export class Away extends KeelsonError {}

/** The instance in a folder. Of several members without a chosen one it is any that answers. */
export class ReadingLink {
  readonly #place: AttachPlace
  readonly #clock: Clock
  readonly #user: string
  #session: Promise<RemoteSession> | undefined
  readonly #closed = new AbortController()

  constructor(place: AttachPlace, clock: Clock, user: string) {
    this.#place = place
    this.#clock = clock
    this.#user = user
  }

  /**
   * The answer to a look. @throws KeelsonError its refusal; `TIMEOUT` after 10 s; `Away` without an
   * instance
   */
  async look<V extends keyof Views>(
    view: V,
    query: object,
  ): Promise<{ readonly header: Header; readonly data: Views[V]['data'] }> {
    const session = await this.#opened()
    try {
      const answer = await inTime(this.#clock, answerMs, session.ask({ look: view, query }))
      return answer as { readonly header: Header; readonly data: Views[V]['data'] }
    } catch (error) {
      if (isKeelsonError(error, 'CLOSED')) throw this.#away(error)
      throw error
    }
  }

  /** Ends the connection, also while it is made. */
  close(): void {
    this.#closed.abort()
  }

  async #opened(): Promise<RemoteSession> {
    const opening = this.#session ?? this.#open()
    this.#session = opening
    try {
      return await opening
    } catch (error) {
      if (this.#session === opening) this.#session = undefined
      throw this.#away(error)
    }
  }

  async #open(): Promise<RemoteSession> {
    const observe = { write: false, user: this.#user }
    const options = { colours: false, verbose: false, observe }
    const { signal } = this.#closed
    const { session } = await RemoteSession.openAny(this.#place, options, signal)
    session.ended.catch(() => {
      this.#session = undefined
    })
    return session
  }

  #away(error: unknown): Away {
    const code = isKeelsonError(error) ? error.code : 'CLOSED'
    const text = `the instance in ${this.#place.dir} does not answer: ${reasonText(error)}`
    return new Away(code, text, { cause: error })
  }
}
