/**
 * The connection of `keelson observe` to its instance. It is made again after every end, so that the
 * page goes on when the instance has restarted.
 */
import type { Cancel, Clock } from '../../clock.ts'
import { KeelsonError, reasonText } from '../../errors.ts'
import { inTime } from '../attach/answer-time.ts'
import type { Asked } from '../attach/attach-protocol.ts'
import type { AttachPlace } from '../attach/attach-socket.ts'
import { RemoteSession } from '../attach/remote-session.ts'
import type { Source } from './page-server.ts'

const retryMs = 500
/** A look or a plan may take so long. */
const answerMs = 10_000

/** The instance in a folder. Of several members without a chosen one it is any that answers. */
export class InstanceLink implements Source {
  readonly #place: AttachPlace
  readonly #clock: Clock
  readonly #terms: { readonly write: boolean; readonly user: string }
  #session: RemoteSession | undefined
  #away = { since: 0, reason: 'it was not reached yet' }
  #cancel: Cancel = () => undefined
  readonly #closed = new AbortController()

  constructor(
    place: AttachPlace,
    clock: Clock,
    terms: { readonly write: boolean; readonly user: string },
  ) {
    this.#place = place
    this.#clock = clock
    this.#terms = terms
  }

  get away() {
    return this.#session ? undefined : this.#away
  }

  /** Connects. @throws as `RemoteSession.open`; `CLOSED` if it is closed before */
  async open(): Promise<void> {
    const options = { colours: false, verbose: false, observe: this.#terms }
    const { session } = await RemoteSession.openAny(this.#place, options, this.#closed.signal)
    this.#session = session
    session.ended.catch((reason: unknown) => {
      if (this.#session === session) this.#lost(reason)
    })
  }

  async ask(request: Asked): Promise<unknown> {
    const session = this.#session
    if (!session) throw new KeelsonError('NO_PROCESS', this.#away.reason)
    const answer = session.ask(request)
    // An action takes its time, and its outcome counts. The end of the connection ends the wait.
    return 'act' in request ? answer : inTime(this.#clock, answerMs, answer)
  }

  /** Ends the connection, also while it is made. */
  close(): void {
    this.#cancel()
    this.#closed.abort()
  }

  #lost(reason: unknown): void {
    if (this.#session || this.#away.since === 0)
      this.#away = { since: this.#clock.now(), reason: reasonText(reason) }
    this.#session = undefined
    if (this.#closed.signal.aborted) return
    this.#cancel = this.#clock.after(retryMs, () => {
      this.open().catch((error: unknown) => this.#lost(error))
    })
  }
}
