/** What a prompt prints instead of some values. */
import { createServer, type Server } from 'node:http'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { flows, queue } from '../../../src/flow/index.ts'
import { type GenServer, supervisor, worker } from '../../../src/index.ts'
import { promptWords } from '../../../src/inspect/prompt/prompt-words.ts'
import { LocalSession } from '../../../src/inspect/prompt/session.ts'
import { ShownValues } from '../../../src/inspect/prompt/shown-values.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

type Web = GenServer<object, { readonly server: Server; readonly password: string }>
const web: Web = { init: () => ({ server: createServer(), password: 'visible' }) }
const trusted: Web = { ...web, formatStatus: (status) => status }

test('a server of Node in a state is printed as its class, also if formatStatus shows it', {
  tags: ['O9'],
}, async () => {
  const world = machine()
  const app = await world.start({
    app: supervisor('app', {}, [worker('web', web), worker('trusted', trusted)]),
  })
  const words = promptWords(app, plainPaint)
  const session = new LocalSession({ words, colours: false, verbose: false, completions: () => [] })
  const typed = async (line: string) => (await world.during(session.run(line))).text

  expect(await typed('state(web)')).toBe("{ server: [Server], password: '[hidden string of 7]' }")
  expect(await typed('state(trusted)')).toBe("{ server: [Server], password: 'visible' }")
  expect(await typed('[await state(trusted)]')).toBe(
    "[ { server: [Server], password: 'visible' } ]",
  )
})

test('what was decided of an object is printed whole, but for servers of Node in it', () => {
  const shown = new ShownValues()
  const state = { token: 'real' }
  const server = createServer()

  expect(shown.mark(state, { token: 'shown', in: { list: [server] } })).toBe(state)
  expect(
    inspect(shown.printed({ state }), {
      depth: 9,
      breakLength: Number.POSITIVE_INFINITY,
      compact: 9,
    }),
  ).toBe("{ state: { token: 'shown', in: { list: [ [Server] ] } } }")
})

test('a queue with the name of a secret or of a value has its counts at the prompt', async () => {
  const names = ['tokens', 'job', 'error'] as const
  const queues = names.map((name) => queue(name, () => undefined))
  const world = machine()
  const app = await world.start({ app: supervisor('app', {}, [flows({ queues })]) })
  const words = promptWords(app, plainPaint)
  const session = new LocalSession({ words, colours: false, verbose: false, completions: () => [] })
  const typed = async (line: string) => (await world.during(session.run(line))).text

  expect(await typed('app.health().parts')).not.toContain('[hidden')
  const overview: unknown = JSON.parse((await typed('flow.list(null, { json: true })')) ?? '')
  for (const name of names) expect(overview).toMatchObject({ queues: { [name]: { dead: 0 } } })
})
