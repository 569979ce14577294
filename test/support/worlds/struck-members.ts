/**
 * Real processes on one folder, one alone or members, of which one is killed now and then while clients ask
 * them. A killed one begins again at once.
 */
import { seededRandom } from '../../../src/clock.ts'
import { FolderMemberProcess } from '../commands/folder-member.ts'

/** What a client may hear of a kill; it then asks once more. Anything else is wrong. */
const passing = new Set([
  ...['ENDED', 'UNKNOWN_OUTCOME', 'CLOSED', 'SHARD_DOWN', 'TIMEOUT', 'EXITED', 'NO_PROCESS'],
])

/** A question that is asked so often without an answer never gets one. */
const triesMax = 100

/** The shards of the folder. */
const shards = 8

export class StruckMembers {
  /** How many kills there were. */
  strikes = 0
  readonly random: () => number
  readonly #dir: string
  readonly #members: readonly string[]
  readonly #program: string
  readonly #living = new Map<string, Promise<FolderMemberProcess>>()
  #left = Number.POSITIVE_INFINITY

  /** `members`: their names; none for one process alone. `program`: of the test programs, one that serves as `folder-member.mjs` does. */
  constructor(dir: string, members: readonly string[], program: string, seed: number) {
    this.#dir = dir
    this.#members = members
    this.#program = program
    this.random = seededRandom(seed)
    for (const name of this.names) this.#living.set(name, this.#begun(name))
  }

  get names(): readonly string[] {
    return this.#members.length > 0 ? this.#members : ['alone']
  }

  /** The answer of one of the processes, asked again while a kill is in the way. `asked` hears of each time. */
  async ask(what: string, words: readonly unknown[], asked = () => {}): Promise<unknown> {
    for (let tries = 1; ; tries++) {
      const name = this.names[Math.floor(this.random() * this.names.length)] as string
      const { value, code, text } = await this.askAt(name, what, words, asked)
      if (code === undefined) return value
      if (!passing.has(code) || tries === triesMax)
        throw new Error(`${what} ${JSON.stringify(words)}: ${text ?? code}`)
    }
  }

  /** The answer of this process. */
  async askAt(name: string, what: string, words: readonly unknown[], asked = () => {}) {
    const member = (await this.#living.get(name)) as FolderMemberProcess
    asked()
    const answer = await member.ask(what, ...words)
    if (--this.#left === 0) this.strike()
    return answer
  }

  /** Does this work, and kills a process at a random one of about so many answers, or at its end. All live after it. */
  async struckDuring(answers: number, work: () => Promise<unknown>): Promise<void> {
    this.#left = 1 + Math.floor(this.random() * answers)
    await work()
    if (this.#left > 0) this.strike()
    this.#left = Number.POSITIVE_INFINITY
    await Promise.all(this.#living.values())
  }

  /** Kills one of them, which begins again. */
  strike(): void {
    this.strikes++
    const name = this.names[Math.floor(this.random() * this.names.length)] as string
    const before = this.#living.get(name) as Promise<FolderMemberProcess>
    this.#living.set(
      name,
      before.then((member) => member.kill()).then(() => this.#begun(name)),
    )
  }

  async close(): Promise<void> {
    const members = await Promise.all(this.#living.values())
    await Promise.all(members.map((member) => member.close()))
  }

  async #begun(name: string): Promise<FolderMemberProcess> {
    const member = new FolderMemberProcess(name, this.#dir, this.#members, shards, this.#program)
    const answer = await member.start
    if (answer !== 'began') throw new Error(`${name}: ${answer}`)
    return member
  }
}
