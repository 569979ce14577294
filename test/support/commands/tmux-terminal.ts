/**
 * A program on a real terminal, with keys and a screen: tmux draws the screen, and its control mode
 * says when something was written on it. Nothing is polled.
 */
import { execFileSync, spawn } from 'node:child_process'
import { join } from 'node:path'
import { onTestFailed, onTestFinished } from 'vitest'

/** Why there is no such terminal; `undefined`: there is. */
export const noTmux = (): string | undefined => {
  try {
    execFileSync('tmux', ['-V'], { stdio: 'ignore' })
    return undefined
  } catch {
    return 'a terminal with a screen needs tmux: apt-get install tmux'
  }
}

/** A terminal of 110 columns and 50 rows, and the program on it. */
export type Terminal = {
  /** Types a text, key by key. */
  type(text: string): void
  /** Presses a key by its name: `Tab`, `C-r`, `Enter`, `Escape`. */
  press(...keys: string[]): void
  /**
   * Resolves with the screen when it has the text: lines without the spaces at their ends. Rejects
   * when the program ends without it. A test that fails prints the screen.
   */
  shows(text: string | RegExp): Promise<string>
  /** Resolves when the program has ended. */
  readonly ended: Promise<void>
}

/** Runs a program in the folder `cwd`. It is killed at the end of the test if it still runs. */
export const onTmux = (
  words: readonly string[],
  cwd: string,
  variables: Readonly<Record<string, string>> = {},
): Terminal => {
  const socket = join(cwd, 'tmux.sock')
  const quoted = words.map((word) => `'${word}'`).join(' ')
  const tmux = spawn(
    'tmux',
    ['-S', socket, '-f', '/dev/null', '-C', 'new-session', '-x', '110', '-y', '50', quoted],
    {
      cwd,
      env: {
        PATH: process.env.PATH,
        HOME: cwd,
        TERM: 'xterm-256color',
        LANG: 'C.UTF-8',
        ...variables,
      },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  const order = (command: string): void => void tmux.stdin.write(`${command}\n`)
  onTestFinished(() => {
    order('kill-server')
    tmux.kill('SIGKILL')
  })
  onTestFailed(() => console.error(`the screen at the end:\n${screen}`))
  const lookers = new Set<(screen: string) => void>()
  let screen = ''
  let block: string[] | undefined
  let isAsked = false
  const look = (): void => {
    if (isAsked) return
    isAsked = true
    order('capture-pane -p')
  }
  const take = (line: string): void => {
    if (line.startsWith('%begin')) block = []
    else if (line.startsWith('%end') || line.startsWith('%error')) {
      // Only a capture answers with lines.
      if (block && block.length > 1) {
        isAsked = false
        screen = block
          .map((row) => row.trimEnd())
          .join('\n')
          .trimEnd()
        for (const looker of lookers) looker(screen)
      }
      block = undefined
      // A capture that came before the session was there would be the last one.
      if (line.startsWith('%error') && isAsked) {
        isAsked = false
        look()
      }
    } else if (block) block.push(line)
    else if (line.startsWith('%output')) look()
  }
  let rest = ''
  tmux.stdout.on('data', (bytes: Buffer) => {
    const lines = (rest + bytes).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) take(line)
  })
  tmux.stdin.on('error', () => undefined)
  const ended = new Promise<void>((resolve) => tmux.on('close', () => resolve()))
  const shows = (text: string | RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const looker = (shown: string): void => {
        const isThere = typeof text === 'string' ? shown.includes(text) : text.test(shown)
        if (!isThere) return
        lookers.delete(looker)
        resolve(shown)
      }
      lookers.add(looker)
      void ended.then(() => reject(new Error(`the program has ended without ${text}`)))
      look()
    })
  const codes = (text: string): string =>
    [...Buffer.from(text)].map((byte) => byte.toString(16)).join(' ')
  return {
    type: (text) => order(`send-keys -H ${codes(text)}`),
    press: (...keys) => order(`send-keys ${keys.join(' ')}`),
    shows,
    ended,
  }
}
