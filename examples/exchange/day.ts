/** A day of the exchange: the service in a process of its own, which is killed on the way. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Snapshot } from './matching.ts'
import type { Where } from './replica.ts'

const program = ['dist/inspect/cli/cli.js', 'run', 'examples/exchange/keelson.config.ts']

export type Day = {
  readonly dir: string
  /** The commands, one a line. */
  readonly orders: string
  /** Where the trades are printed. */
  readonly tape: string
  /** What PostgreSQL follows it, if one does. */
  readonly replica?: Where
  /** Numbers of answers after which the service is killed. */
  readonly kills: readonly number[]
  /** Called with the number of the last command that was answered. */
  readonly progress: (number: number) => void
}

/** What the clients know in the evening. */
export type Evening = {
  /** The answers, as JSON, by number. Those that were on their way to a kill are missing. */
  readonly answers: ReadonlyMap<number, string>
  readonly snapshot: Snapshot
}

/** @throws Error if the service ends by itself, or answers a command in two ways */
export const live = async (day: Day): Promise<Evening> => {
  const { dir, orders, tape, replica = '', kills, progress } = day
  const answers = new Map<number, string>()
  for (const killAt of [...kills, Number.POSITIVE_INFINITY]) {
    const service = spawn(process.execPath, [...program, '--dir', dir], {
      env: { ...process.env, ORDERS: orders, TAPE: tape, REPLICA: replica },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const ended = once(service, 'close')
    let errors = ''
    service.stderr.on('data', (text) => {
      errors += text
    })
    let snapshot: Snapshot | undefined
    for await (const line of createInterface({ input: service.stdout })) {
      if (!line.startsWith('{')) continue
      const said = JSON.parse(line)
      snapshot = said.snapshot
      if (snapshot) service.kill('SIGTERM')
      else {
        record(answers, said.number, JSON.stringify(said.answer))
        progress(said.number)
        if (answers.size === killAt) service.kill('SIGKILL')
      }
    }
    const [code, signal] = await ended
    if (snapshot && code === 0) return { answers, snapshot }
    if (signal !== 'SIGKILL') throw new Error(`the exchange ended by itself: ${errors}`)
  }
  throw new Error('the exchange was killed too late')
}

const record = (answers: Map<number, string>, number: number, answer: string): void => {
  const before = answers.get(number) ?? answer
  if (before !== answer) throw new Error(`command ${number} was answered ${before} and ${answer}`)
  answers.set(number, answer)
}
