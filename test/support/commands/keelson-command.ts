/** The `keelson` command as users get it: a real process that runs the built package. `npm run build` comes first. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** How a command ended, and what it printed. */
export type CommandEnd = {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly output: string
  readonly errors: string
}

/** A running command. */
export type RunningCommand = {
  readonly process: ChildProcess
  readonly ended: Promise<CommandEnd>
  /** Writes to its standard input; resolves when the command has taken it, but for what a pipe holds. */
  readonly write: (text: string) => Promise<void>
  /** Resolves when its output, or what it says on standard error, contains `text`; rejects when it ends without. */
  readonly says: (text: string | RegExp, stream?: 'output' | 'errors') => Promise<void>
  /** Its output so far. */
  readonly printed: () => string
}

/** The built command. */
export const program = join(import.meta.dirname, '../../../dist/inspect/cli/cli.js')

/**
 * Starts `keelson` with `words` in the folder `cwd`. It is killed at the end of the test if it still runs. With `input`
 * `'ignore'` its standard input is `/dev/null`, as a service manager gives it.
 */
export const startKeelson = (
  words: readonly string[],
  cwd: string,
  variables: Readonly<Record<string, string>> = {},
  input: 'pipe' | 'ignore' = 'pipe',
): RunningCommand => {
  if (!existsSync(program)) throw new Error('dist/ is missing: npm run build comes first')
  return running(
    spawn(process.execPath, [program, ...words], {
      cwd,
      env: { PATH: process.env.PATH, ...variables },
      stdio: [input, 'pipe', 'pipe'],
    }),
  )
}

/** Starts `keelson` as the script of a package, with the npm of this machine. */
export const startByNpm = (words: readonly string[], cwd: string): RunningCommand => {
  const scripts = { start: [process.execPath, program, ...words].join(' ') }
  writeFileSync(join(cwd, 'package.json'), JSON.stringify({ scripts }))
  return running(
    spawn('npm', ['start', '--silent'], {
      cwd,
      env: { PATH: process.env.PATH, HOME: cwd, npm_config_update_notifier: 'false' },
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  )
}

/** What `startOnTerminal` prints when the command was stopped, before it lets it go on. */
export const stoppedMark = 'the shell has it back'

/**
 * Starts `keelson` on a terminal (util-linux `script`), as the job of a shell that brings it back with `fg` once it was
 * stopped. What is written to it are keys.
 */
export const startOnTerminal = (words: readonly string[], cwd: string): RunningCommand => {
  const job = `'${process.execPath}' '${program}' ${words.join(' ')}`
  const shell = `set -m; ${job} || { [ $? -gt 128 ] && echo ${stoppedMark} && fg; }`
  return running(
    spawn('script', ['-qfec', shell, '/dev/null'], {
      cwd,
      env: { PATH: process.env.PATH, HOME: cwd, TERM: 'xterm' },
      stdio: 'pipe',
    }),
  )
}

/** A child process as a command. */
export const running = (child: ChildProcess): RunningCommand => {
  onTestFinished(() => void child.kill('SIGKILL'))
  const printed = { output: '', errors: '' }
  const listeners = new Set<() => void>()
  const collect = (stream: 'output' | 'errors') => (text: Buffer) => {
    printed[stream] += text
    for (const listener of listeners) listener()
  }
  child.stdout?.on('data', collect('output'))
  child.stderr?.on('data', collect('errors'))
  // A command may end before it has read everything.
  child.stdin?.on('error', () => undefined)
  const ended = new Promise<CommandEnd>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status, signal) => resolve({ status, signal, ...printed }))
  })
  const says = (text: string | RegExp, stream: 'output' | 'errors' = 'output'): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const isThere =
          typeof text === 'string' ? printed[stream].includes(text) : text.test(printed[stream])
        if (isThere) resolve()
      }
      listeners.add(look)
      look()
      ended.then(() => reject(new Error(`it ended without '${text}': ${printed.errors}`)), reject)
    })
  const write = (text: string): Promise<void> =>
    new Promise((resolve) => child.stdin?.write(text, () => resolve()))
  return { process: child, ended, write, says, printed: () => printed.output }
}

/** Runs `keelson` to its end, with `input` on its standard input. */
export const runKeelson = (
  words: readonly string[],
  cwd: string,
  input: string | Uint8Array = '',
  variables: Readonly<Record<string, string>> = {},
): Promise<CommandEnd> => {
  const command = startKeelson(words, cwd, variables)
  command.process.stdin?.end(input)
  return command.ended
}
