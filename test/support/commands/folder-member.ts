/** Members that share a data folder, each in a process, for tests. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

const programs = join(import.meta.dirname, '../programs')

type Answer = {
  readonly number?: number
  readonly value?: unknown
  readonly code?: string
  readonly text?: string
  readonly began?: true
  readonly refused?: string
}

/** One member. It is killed when the test ends. */
export class FolderMemberProcess {
  readonly name: string
  readonly child: ChildProcess
  /** Resolves with `began`, or with the code of its refusal. */
  readonly start: Promise<string>
  #number = 0
  readonly #asked = new Map<number, (answer: Answer) => void>()

  /** `program`: of the test programs, one that serves as `folder-member.mjs` does. */
  constructor(
    name: string,
    dir: string,
    members: readonly string[],
    shards: number,
    program = 'folder-member.mjs',
  ) {
    this.name = name
    this.child = fork(join(programs, program), [name, dir, members.join(), String(shards)], {
      execArgv: [],
    })
    onTestFinished(() => void this.child.kill('SIGKILL'))
    this.start = new Promise((resolve) => {
      this.child.on('message', (answer: Answer) => {
        if (answer.began) resolve('began')
        if (answer.refused) resolve(answer.refused)
        if (answer.number !== undefined) this.#asked.get(answer.number)?.(answer)
      })
      this.child.on('exit', (code, signal) => {
        resolve(`ended by ${signal ?? code}`)
        for (const answered of this.#asked.values()) answered({ code: 'ENDED' })
      })
    })
  }

  /** Its answer; `{ code }` if it refuses, or ends before it answers. */
  ask(what: string, ...words: unknown[]): Promise<Answer> {
    const number = ++this.#number
    return new Promise((resolve) => {
      this.#asked.set(number, resolve)
      this.child.send({ number, what, words }, (error) => error && resolve({ code: 'ENDED' }))
    })
  }

  /** The shards that are open there, in order. */
  async shards(): Promise<readonly number[]> {
    const { value } = await this.ask('shards')
    return (value as readonly number[] | undefined) ?? []
  }

  /** Ends it by a signal that it cannot catch. */
  async kill(): Promise<void> {
    const ended = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await ended
  }

  /** Ends it in order. */
  async close(): Promise<void> {
    const ended = once(this.child, 'exit')
    await this.ask('close')
    await ended
  }
}
