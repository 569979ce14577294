/** The sessions of docs/repl.md, typed again: a prompt answers as the page says, but for figures. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  createSystem,
  type GenServer,
  noReply,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { promptWords } from '../../../src/inspect/prompt/prompt-words.ts'
import { LocalSession } from '../../../src/inspect/prompt/session.ts'
import { recordsOf } from '../../../src/inspect/recorder/recorder.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import { silentLogger } from '../../../src/testing/kit/captured-log.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { add: (by: number) => number; get: () => number }
  casts: { add: (by: number) => void }
}
const add = ({ count }: { readonly count: number }, by: number) => {
  if (by < 0) throw new Error('no more')
  return { count: count + by }
}
const counter: GenServer<Messages, { readonly count: number }> = {
  init: () => ({ count: 0 }),
  calls: {
    add: (state, by) => reply(add(state, by).count, add(state, by)),
    get: (state) => reply(state.count, state),
  },
  casts: { add: (state, by) => noReply(add(state, by)) },
}

/** What happens before the session of a section, in other prompts. */
const before: Readonly<Record<string, readonly string[]>> = {
  'info(p)': ["call(counter, 'add', 0)"],
  'mailbox(p)': [
    'suspend(counter)',
    "void call(counter, 'add', 2).catch(() => undefined)",
    "cast(counter, 'add', 5)",
  ],
  'state(p)': ['resume(counter)', 'kill(counter)'],
  'crashes(), log(n)': ["call(counter, 'add', -1).catch(() => undefined)"],
}

/** Sessions with other trees, and of other moments: their words have tests of their own. */
const isOther = (title: string, session: string): boolean =>
  /\b(order|ticket|mails)\b/.test(session) ||
  ['top(by, rows)', 'health()', 'app, help, h(name)'].includes(title)

const sections = readFileSync('docs/repl.md', 'utf8')
  .split(/^## /m)
  .flatMap((section) => {
    const [title = ''] = section.split('\n')
    const [, session] = /```\n(keelson> .*?)\n```/s.exec(section) ?? []
    return session === undefined || isOther(title, session) ? [] : [{ title, session }]
  })

/** The lines of a session with what each one printed. */
const typed = (session: string): { readonly line: string; readonly printed: string }[] =>
  session
    .split(/^keelson> /m)
    .slice(1)
    .map((part) => {
      const [line = '', ...printed] = part.trimEnd().split('\n')
      return { line, printed: printed.join('\n') }
    })

/** A text without its figures: times, numbers, identities, widths of columns, and work of the disk. */
const shape = (text: string): string =>
  text
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/\b[0-9a-f]{32}\b/g, 'ID')
    .replace(/\d[\d,.]*( [kMG]?B)?/g, 'N')
    .replace(/N \(N\)/g, 'N')
    .replace(', one being made', '')
    .replace(/ +/g, ' ')

const startedSession = async () => {
  const world = machine()
  const system = createSystem({ clock: world.clock, logger: silentLogger })
  recordsOf(system)
  const tree = supervisor('app', {}, [worker('counter', counter)])
  const app = await world.start({ app: tree, system })
  const words = promptWords(app, plainPaint)
  const session = new LocalSession({ words, colours: false, verbose: false, completions: () => [] })
  let shown = ''
  /** Runs a line, and returns what is printed until its end. */
  return async (line: string): Promise<string> => {
    shown = ''
    const show = (more: unknown) => (shown += `${more}\n`)
    const { text, feed } = await world.during(session.run(line))
    feed?.show(show)
    return `${shown}${text}`
  }
}

test('every session of the page with the tree of the configuration prints what the page says', async () => {
  const run = await startedSession()
  expect(sections.length).toBeGreaterThan(11)
  for (const { title, session } of sections) {
    for (const line of before[title] ?? []) await run(line)
    for (const { line, printed } of typed(session)) {
      const answer = shape(await run(line))
      const [head, rest = ''] = printed.split('…\n')
      if (head === '') expect(answer.endsWith(shape(rest)), line).toBe(true)
      else expect(answer, line).toBe(shape(printed))
    }
  }
})
