/** The clients of members that share a folder, two at each member, for one round. What they ask for is for a subclass to say. */
import type { MemberLine } from '../support/worlds/member-service.ts'

const clientsOfMember = 2

export abstract class RoundClients {
  /** How many requests have succeeded. */
  acknowledged = 0
  /** The longest time of a request with an id, from its first try to its answer, in ms. */
  longestMs = 0
  /** How often members have failed to answer, by what was asked for and by the code. */
  readonly failures = new Map<string, number>()
  protected readonly round: number
  protected readonly lines: readonly MemberLine[]
  protected readonly random: () => number
  /** Keeps requests of one round apart. */
  protected number = 0
  #isOver = false
  #clients: readonly Promise<void>[] = []
  #fault: Error | undefined

  constructor(round: number, lines: readonly MemberLine[], random: () => number) {
    this.round = round
    this.lines = lines
    this.random = random
  }

  begin(): void {
    this.#clients = this.lines.flatMap((line) =>
      Array.from({ length: clientsOfMember }, () =>
        this.client(line).catch((error) => {
          this.#fault ??= error
        }),
      ),
    )
  }

  /** Resolves when each client has its last answer. */
  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#clients)
  }

  /** Judges the round, once its clients have ended. @throws Error with the promise that was broken */
  async judge(): Promise<void> {
    if (this.#fault) throw this.#fault
  }

  /** Asks `line` for one thing after another until the round is over. */
  protected abstract client(line: MemberLine): Promise<void>

  /** Whether a client begins nothing more. */
  protected get isOver(): boolean {
    return this.#isOver
  }

  protected refute(fault: string): never {
    throw new Error(`round ${this.round}: ${fault}`)
  }

  protected counts(failure: string): void {
    this.failures.set(failure, (this.failures.get(failure) ?? 0) + 1)
  }

  /** A request that began at `begin`, by `performance.now()`, has its answer. */
  protected took(begin: number): void {
    this.longestMs = Math.max(this.longestMs, performance.now() - begin)
  }
}
