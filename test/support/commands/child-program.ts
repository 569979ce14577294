/** A real child process that runs one of `programs/`, and what it reports line by line over a pipe. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'

/** How a child ended. */
export type ChildEnd = { readonly code: number | null; readonly signal: NodeJS.Signals | null }

/** A running child. `report` is called with each line of its third pipe, whose end comes after the last byte it wrote. */
export type ChildProgram = {
  readonly process: ChildProcess
  /** Resolves when the process has ended and all that it reported has been read. */
  readonly ended: Promise<ChildEnd>
  readonly stderr: () => string
}

/** Starts `programs/NAME` with `args`, and with `flags` for Node; killed at the end of the test if it still runs. */
export const childProgram = (
  name: string,
  args: readonly string[],
  report: (line: string) => void,
  flags: readonly string[] = [],
): ChildProgram => {
  const program = join(import.meta.dirname, '../programs', name)
  const child = spawn(process.execPath, [...flags, program, ...args], {
    stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let stderr = ''
  child.stderr?.on('data', (text) => {
    stderr += text
  })
  const pipe = child.stdio[3] as NodeJS.ReadableStream
  const read = new Promise<void>((resolve) => {
    const lines = createInterface({ input: pipe })
    lines.on('line', report)
    lines.on('close', resolve)
  })
  const exited = new Promise<ChildEnd>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal }))
  })
  const ended = Promise.all([exited, read]).then(([end]) => end)
  return { process: child, ended, stderr: () => stderr }
}
