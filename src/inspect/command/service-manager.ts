/**
 * Notifies systemd, or another service manager with its protocol, that the service is ready, lives
 * and stops. Node has no datagram sockets of the Unix kind, so `systemd-notify` sends each message:
 * it is there wherever systemd is.
 */
import { execFile } from 'node:child_process'
import type { Environment } from './environment.ts'

/** The service manager of a process. Without `NOTIFY_SOCKET` there is none, and nothing is sent. */
export class ServiceManager {
  readonly #environment: Environment
  readonly #warn: (text: string) => void
  #isReached: boolean
  #cancel: () => void = () => undefined

  /** `warn` is called once, when a message cannot be sent. None is tried after it. */
  constructor(environment: Environment, warn: (text: string) => void) {
    this.#environment = environment
    this.#warn = warn
    this.#isReached = environment.variables.NOTIFY_SOCKET !== undefined
  }

  /**
   * The service has started, perhaps again. From here on it says that it lives, twice in
   * `WATCHDOG_USEC`.
   */
  ready(): void {
    this.#cancel()
    if (!this.#isReached) return
    this.#notify('READY=1')
    const { WATCHDOG_USEC, WATCHDOG_PID = process.pid } = this.#environment.variables
    const everyMs = Number(WATCHDOG_USEC) / 2_000
    if (everyMs > 0 && String(WATCHDOG_PID) === String(process.pid)) this.#watch(everyMs)
  }

  /** The service ends. It may take its time, and says until `release` that it lives. */
  stopping(): void {
    this.#notify('STOPPING=1')
  }

  /** The service has ended. */
  release(): void {
    this.#cancel()
  }

  /** A timer of the event loop: one that is held up sends nothing. */
  #watch(everyMs: number): void {
    this.#cancel = this.#environment.clock.after(everyMs, () => {
      this.#notify('WATCHDOG=1')
      this.#watch(everyMs)
    })
  }

  #notify(state: string): void {
    if (!this.#isReached) return
    execFile('systemd-notify', [state], { env: this.#environment.variables }, (error) => {
      if (!error || !this.#isReached) return
      this.#isReached = false
      this.#warn(`systemd-notify failed, so the service manager is not notified: ${error.message}`)
    })
  }
}
