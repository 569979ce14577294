/** `keelson history`: the past of a durable actor, and `keelson open --at` of a running instance. */
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { call, entity, noReply, reply, start, supervisor } from '../../../dist/index.js'
import { restore } from '../../../src/adapters/postgres/postgres.ts'
import * as sources from '../../../src/index.ts'
import { capturedLog } from '../../../src/testing/kit/captured-log.ts'
import { commandHere } from '../../support/commands/command-here.ts'
import { codeIn } from '../../support/commands/command-project.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { caughtUp, following } from '../../support/worlds/followed-instance.ts'

type Order = { readonly total: number; readonly apiToken?: string }

/** The server, with the words of the build or of the sources. */
const order = ({ reply, noReply }: Pick<typeof sources, 'reply' | 'noReply'>): never =>
  ({
    init: (): Order => ({ total: 0 }),
    calls: {
      add: (state: Order, amount: number) =>
        reply(
          undefined,
          { total: state.total + amount, apiToken: 'canary' },
          { continue: ['mail'] },
        ),
    },
    continues: { mail: (state: Order) => noReply({ ...state }) },
  }) as never

/** A running instance whose order 17 has a past. */
const instance = async () => {
  const dir = tempFolder()
  const tree = supervisor('app', {}, [entity('order', order({ reply, noReply } as never))])
  const app = await start({ dir, attach: true, app: tree, logger: capturedLog() })
  onTestFinished(() => app.close().then(() => undefined))
  const ref = app.entity('order').ref('17')
  for (const amount of [2, 3]) await call(ref, 'add' as never, amount as never)
  await app.entity('order').stop('17')
  const asked = (...words: string[]) => commandHere(['history', dir, 'order', '17', ...words], dir)
  const json = async (...words: string[]) => JSON.parse((await asked(...words, '--json')).output)
  return { app, dir, asked, json }
}

const totals = (page: { turns: { state: Order }[] }) => page.turns.map(({ state }) => state.total)

/** A folder that is restored from a replica of an instance with the past of order 17. */
const restored = async () => {
  const kind = sources.entity('order', order(sources))
  const app = sources.supervisor('app', {}, [kind])
  const origin = await following({}, { app })
  const orders = origin.app.entity('order')
  for (const amount of [2, 3])
    await origin.world.during(sources.call(orders.ref('17'), 'add' as never, amount as never))
  await caughtUp(origin.world, origin.app)
  const { turns } = await origin.world.during(orders.history('17', { reveal: true }))
  await origin.world.during(origin.app.close())
  const dir = join(tempFolder(), 'restored')
  await restore({ client: origin.replica, dir })
  return { dir, turns }
}

describe('keelson history (needs the build)', () => {
  test('shows the same past, with its causes, in a folder that is restored from a replica', async () => {
    const { dir, turns } = await restored()

    const words = ['history', dir, 'order', '17', '--json', '--reveal']
    const { output } = await commandHere(words, dir)

    expect(JSON.parse(output).turns).toEqual(JSON.parse(JSON.stringify(turns)))
    expect(turns.map(({ cause }) => cause.message)).toContain('call add')
  })

  test('shows the turns of a running instance, without its secrets', async () => {
    const { asked, json } = await instance()

    const { status, output, errors } = await asked()

    expect([status, errors]).toEqual([0, ''])
    expect(output).toMatch(/^lsn +time +seq +cause +changed +state after it$/m)
    expect(output).toMatch(/step mail/)
    expect(output).toContain('there is nothing before')
    expect(output).not.toContain('canary')
    const page = await json()
    expect(totals(page)).toEqual([5, 5, 2, 2])
    expect(totals(await json('--at', String(page.turns[2].lsn)))).toEqual([2, 2])
    const first = await json('--limit', '3')
    expect(totals(await json('--before', first.cursor))).toEqual([2])
    const [, next = ''] =
      /^the same with --before (\S+) continues$/m.exec((await asked('--limit', '3')).output) ?? []
    expect(totals(await json('--before', next))).toEqual([2])
    expect((await json('--reveal')).turns[0].state.apiToken).toBe('canary')
  })

  test('shows the turns of a folder at rest, states only with --reveal', async () => {
    const { app, asked, json } = await instance()
    await app.close()

    const { status, output } = await asked()

    expect(status).toBe(0)
    expect(output).toContain('[hidden object of 2]')
    expect((await json('--reveal')).turns[0].state).toEqual({ total: 5, apiToken: 'canary' })
    expect(totals(await json('--reveal'))).toEqual([5, 5, 2, 2])
  })

  test('refuses a folder without data, and wrong words', async () => {
    const dir = tempFolder()
    const refused = async (...words: string[]) => {
      const { status, errors } = await commandHere(['history', ...words], dir)
      return [status, codeIn(errors)]
    }
    expect(await refused(dir, 'order', '17')).toEqual([1, 'INVALID_ARGUMENT'])
    expect(await refused(dir, 'order')).toEqual([2, 'INVALID_ARGUMENT'])
    expect(await refused(dir, 'order', '17', '--at', 'x')).toEqual([2, 'INVALID_ARGUMENT'])
  })
})

describe('keelson open --at (needs the build)', () => {
  test('opens a view of a running instance, which makes the backup itself', async () => {
    const { dir, json } = await instance()
    const { turns } = await json()
    const lsn = String(turns[2].lsn)

    const input = "app.entity('order').state('17').total"
    const { status, output } = await commandHere(['open', dir, '--at', lsn], dir, { input })

    expect([status, output.trim()]).toEqual([0, '2'])
  })
})
