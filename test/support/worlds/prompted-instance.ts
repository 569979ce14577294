/** An instance with two counters, and a prompt in its process. */
import { PassThrough } from 'node:stream'
import { Prompt } from '../../../src/inspect/prompt/prompt.ts'
import { processWords, promptWords } from '../../../src/inspect/prompt/prompt-words.ts'
import { LocalSession } from '../../../src/inspect/prompt/session.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import { type GenServer, noReply, reply } from '../../../src/runtime/index.ts'
import type { App, StartOptions } from '../../../src/supervisors/index.ts'
import { type Machine, machine } from './simulated-instance.ts'

/** A counter of the user's own. */
type CounterMessages = {
  calls: { add: (by: number) => number; hang: () => void }
  casts: { note: (by: number) => void }
  infos: { tick: (by: number) => void }
}

const counter: GenServer<CounterMessages, { count: number }, number> = {
  init: (count) => ({ count }),
  calls: {
    add: ({ count }, by) => reply(count + by, { count: count + by }),
    hang: (state) => noReply(state),
  },
  casts: { note: ({ count }, by) => noReply({ count: count + by }) },
  infos: { tick: ({ count }, by) => noReply({ count: count + by }) },
}

/** A tree of two counters. */
export const app = {
  kind: 'supervisor',
  id: 'app',
  options: {},
  children: [
    { kind: 'worker', id: 'counter', module: { server: counter }, options: { arg: 5 } },
    {
      kind: 'worker',
      id: 'second',
      module: { server: counter },
      options: { arg: 0, name: 'counter(2)' },
    },
  ],
} as const

/** A running instance, and the output of its prompt. */
export const session = async (options: Partial<StartOptions> = { app }) => {
  const world = machine()
  const running = await world.start(options)
  return { ...world, app: running, ask: asking(world, running) }
}

/** Asks a prompt of the instance line after line, and gives its output. */
export const asking =
  ({ during }: Machine, running: App) =>
  async (...lines: string[]): Promise<string> => {
    const environment = { input: new PassThrough(), output: new PassThrough() }
    const prompt = new Prompt({
      environment,
      session: new LocalSession({
        words: promptWords(running, plainPaint),
        colours: false,
        verbose: false,
        completions: () => processWords(running),
      }),
    })
    environment.input.end(lines.join('\n'))
    await during(prompt.run())
    environment.output.end()
    return Buffer.concat(await environment.output.toArray())
      .toString()
      .trimEnd()
  }
