/** Processes that take and release locks, for tests. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** The program of these processes. */
export const lockScript = join(import.meta.dirname, '../programs/lock-process.mjs')

/** Another process, which takes one command a line: see the program. */
export class LockProcess {
  readonly child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(before: readonly string[] = []) {
    const [command = '', ...args] = [...before, process.execPath, lockScript]
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    if (!this.child.stdout) throw new Error('no output')
    this.#lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]()
  }

  /** The next line that it prints. */
  async answer(): Promise<string> {
    return String((await this.#lines.next()).value)
  }

  /** Its answer to a command. */
  async ask(command: string): Promise<string> {
    this.child.stdin?.write(`${command}\n`)
    return this.answer()
  }

  /** Ends it by SIGKILL, if it has not ended. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    this.child.kill('SIGKILL')
    await once(this.child, 'exit')
  }
}
