/** `keelson check` prints the tree of a configuration, or what is wrong with it, and touches nothing. */
import { mkdirSync, readdirSync, realpathSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { call, type DurableServer, entity, noReply, reply, start, supervisor } from 'keelson'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { commandHere } from '../../support/commands/command-here.ts'
import { codeIn, write } from '../../support/commands/command-project.ts'
import { runKeelson } from '../../support/commands/keelson-command.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** A folder with a configuration whose tree has these parts. */
const project = (parts: string, options = ''): string => {
  const dir = realpathSync(tempFolder())
  mkdirSync(join(dir, 'node_modules'))
  symlinkSync(process.cwd(), join(dir, 'node_modules/keelson'))
  write(dir, 'server.mjs', 'export const server = { init: () => 0 }')
  write(
    dir,
    'keelson.config.mjs',
    `import { defineConfig, entity, supervisor, worker } from 'keelson'
     import { flows, workflow } from 'keelson/flow'
     export default defineConfig({
       ${options}
       app: supervisor('app', { strategy: 'rest_for_one', intensity: 9 }, [${parts}]),
     })`,
  )
  return dir
}

const parts = `
  worker('clock', './server.mjs', { restart: { backoff: { fromMs: 10, toMs: 90 } } }),
  worker('total', './server.mjs', { durable: true, shutdown: 'brutal_kill' }),
  supervisor('shop', { restart: 'transient' }, [
    entity('order', './server.mjs'),
    flows({ workflows: [workflow('mail', () => 0)] }),
  ]),`

type Counted = { calls: { add: () => number } }
const counted: DurableServer<Counted, number> = {
  init: () => 0,
  calls: { add: (count) => reply(count + 1, count + 1) },
  casts: {},
  infos: {},
  info: (state) => noReply(state),
}

describe('keelson check (needs the build)', () => {
  test('prints what would start, and starts and makes nothing', async () => {
    const dir = project(parts, "instance: 'tea', shards: 2,")
    const before = readdirSync(dir)

    const { status, output, errors } = await commandHere(['check'], dir)

    expect([status, errors, readdirSync(dir)]).toEqual([0, '', before])
    expect(output.replaceAll(dir, 'DIR').split('\n')).toEqual([
      'configuration  DIR/keelson.config.mjs',
      'data folder    DIR/keelson-data',
      'instance       tea',
      'shards         2',
      '',
      '                          kind            restart                    shutdown     server, or strategy',
      'app                       supervisor      permanent                  infinity     rest_for_one, 9 restarts in 5.00 s',
      '├─ clock                  worker          permanent, with a backoff  5.00 s       server.mjs',
      '├─ total                  durable worker  permanent                  brutal_kill  server.mjs',
      '└─ shop                   supervisor      transient                  infinity     one_for_one, 3 restarts in 5.00 s',
      '   ├─ order               entity_kind     permanent                  infinity     server.mjs',
      '   └─ flows               supervisor      permanent                  infinity',
      '      ├─ $flow-mail       entity_kind     permanent                  infinity',
      '      ├─ $made-schedules  entity_kind     permanent                  infinity',
      '      ├─ $batches         entity_kind     permanent                  infinity',
      '      └─ keeper           worker          permanent                  5.00 s',
      '',
    ])
  })

  test('without a configuration shows the store alone', async () => {
    const dir = realpathSync(tempFolder())

    const { status, output } = await commandHere(['check', '--dir', 'd'], dir)

    expect([status, output]).toEqual([
      0,
      `configuration  none: the defaults
data folder    ${dir}/d
shards         as the folder has; in a new one 1, with members 64
tree           none: the store alone
`,
    ])
    expect(readdirSync(dir)).toEqual([])
  })

  for (const [what, wrong, options, said] of [
    ['a misspelt option', '', 'shardz: 2,', 'did you mean `shards`?'],
    [
      'a misspelt option of a part',
      "worker('a', './server.mjs', { restrat: 'permanent' })",
      '',
      'did you mean `a.restart`?',
    ],
    ['a module that is not there', "worker('a', './serfer.mjs')", '', 'there is no such file'],
    [
      'a wrong server of a durable worker',
      "worker('a', './wrong.mjs', { durable: true })",
      '',
      'did you mean `app.children[0].module.continues`?',
    ],
    [
      'a wrong server of a worker',
      "worker('a', './wrong.mjs')",
      '',
      'unknown option `app.children[0].module.continuse`',
    ],
    ['a wrong server of a kind', "entity('a', './wrong.mjs')", '', 'did you mean'],
  ] as const)
    test(`refuses ${what} with CONFIG and status 1, naming the file`, async () => {
      const dir = project(wrong, options)
      write(dir, 'wrong.mjs', 'export const server = { init: () => 0, continuse: {} }')
      const before = readdirSync(dir)

      const { status, output, errors } = await commandHere(['check', 'keelson.config.mjs'], dir)

      expect([status, output, codeIn(errors)]).toEqual([1, '', 'CONFIG'])
      expect(errors).toContain(said)
      expect(errors).toContain(join(dir, 'keelson.config.mjs'))
      expect(readdirSync(dir)).toEqual(before)
    })

  test.each([
    ['a getter that throws', 'export default { get shards() { throw new Error("odd") } }', 'odd'],
    [
      'a rejection that nobody handles',
      'Promise.reject(new Error("lost")); export default {}',
      'a promise was rejected, and nobody handled it: Error: lost',
    ],
  ])('refuses %s with CONFIG', async (_, text, said) => {
    const dir = realpathSync(tempFolder())
    write(dir, 'keelson.config.mjs', text)

    const { status, output, errors } = await runKeelson(['check'], dir)

    expect([status, output, codeIn(errors)]).toEqual([1, '', 'CONFIG'])
    expect(errors).toContain(`${join(dir, 'keelson.config.mjs')} cannot be loaded: ${said}`)
  })

  test('refuses a top-level await that does not settle in 10 s with CONFIG', async () => {
    const dir = realpathSync(tempFolder())
    write(dir, 'keelson.config.mjs', 'await new Promise(() => undefined); export default {}')
    const after = (ms: number, action: () => void) => {
      if (ms === 10_000) setImmediate(action)
      return () => undefined
    }

    const { status, errors } = await commandHere(['check'], dir, {
      clock: { ...systemClock(), after },
    })

    expect([status, codeIn(errors)]).toEqual([1, 'CONFIG'])
    expect(errors).toContain('cannot be loaded: it does not end: 10 s have passed')
  })

  test('with --against names what the data of a backup need, has status 4, and leaves no copy', async () => {
    const dir = project("entity('order', './server.mjs'), entity('shelf', './server.mjs')")
    const app = await start({
      dir: join(dir, 'data'),
      app: supervisor('app', {}, [entity('order', counted), entity('invoice', counted)]),
    })
    for (const kind of ['order', 'invoice']) await call(app.entity<Counted>(kind).ref('1'), 'add')
    await app.backup(join(dir, 'backup'))
    await app.close()
    const before = readdirSync(dir)

    for (const from of ['backup', 'data']) {
      const { status, output, errors } = await commandHere(['check', '--against', from], dir)
      expect([status, errors]).toEqual([4, ''])
      expect(output.slice(output.indexOf('checked'))).toBe(
        [
          `checked against 0 runs and 2 other actors of ${from}`,
          '',
          'blocks  entity invoice: is not in the tree  (1)',
          '  invoice: it has 1 rows, and is not in the tree; without rows begins shelf: renamed?',
          '  help: keep the name; or move what it holds first, and remove its rows',
          '',
        ].join('\n'),
      )
    }
    expect(readdirSync(dir)).toEqual(before)
  })

  test('with --against and a tree that lacks nothing has status 0; without data it fails', async () => {
    const dir = project("entity('order', './server.mjs')")
    const app = await start({
      dir: join(dir, 'data'),
      app: supervisor('app', {}, [entity('order', counted)]),
    })
    await call(app.entity<Counted>('order').ref('1'), 'add')
    await app.close()

    const { status, output } = await commandHere(['check', '--against', 'data'], dir)
    expect([status, output]).toEqual([
      0,
      expect.stringMatching(
        /\nchecked against 0 runs and 1 other actor of data: nothing is missing\n$/,
      ),
    ])
    expect((await commandHere(['check', '--against', 'nowhere'], dir)).status).toBe(1)
    expect((await commandHere(['run', '--against', 'data'], dir)).status).toBe(2)
  })
})
