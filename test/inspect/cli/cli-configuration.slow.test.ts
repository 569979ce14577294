/**
 * `keelson start` runs the tree of a configuration, and refuses a wrong one before anything is on
 * disk.
 */
import { existsSync, mkdirSync, readdirSync, realpathSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { codeIn, treeWith, write } from '../../support/commands/command-project.ts'
import { tempFolder } from '../../support/temp-folder.ts'

describe('keelson start with a configuration (needs the build)', () => {
  const counter = `
    import { type GenServer, reply } from 'keelson'
    type Messages = { calls: { add: (by: number) => number; crash: () => void } }
    export const server: GenServer<Messages, { count: number }, number> = {
      init: (count) => ({ count }),
      calls: {
        add: ({ count }, by) => reply(count + by, { count: count + by }),
        crash: () => { throw new Error('as it should') },
      },
    }`
  const config = `
    import { defineConfig, supervisor, worker } from 'keelson'
    export default defineConfig({
      dir: './data',
      shards: 2,
      app: supervisor('app', { strategy: 'one_for_one' }, [
        worker('counter', './actors/counter.ts', { arg: 40 }),
      ]),
    })`

  const project = (): string => {
    const dir = tempFolder()
    write(dir, 'package.json', '{"type":"module"}')
    write(dir, 'actors/counter.ts', counter)
    write(dir, 'keelson.config.ts', config)
    mkdirSync(join(dir, 'node_modules'))
    symlinkSync(process.cwd(), join(dir, 'node_modules/keelson'))
    return dir
  }

  test('in TypeScript runs the tree that it describes, written in TypeScript', async () => {
    const dir = project()
    const lines = ["call(counter, 'add', 2)", 'state(counter)', 'app.shards.length']

    const { status, output } = await commandHere(['start'], dir, { input: lines.join('\n') })

    expect([output, status]).toEqual(['42\n{ count: 42 }\n2\n', 0])
    expect(existsSync(join(dir, 'data/keelson.json'))).toBe(true)
  })

  test('runs the kind and the durable worker whose servers it gives by their paths', async () => {
    const dir = project()
    const server = `
      import { type DurableServer, reply } from 'keelson'
      type Messages = { calls: { add: (by: number) => number } }
      export const server: DurableServer<Messages, number> = {
        init: () => 0,
        calls: { add: (count: number, by: number) => reply(count + by, count + by) },
      }`
    write(dir, 'actors/tally.ts', server)
    const parts = `[
      entity('tally', './actors/tally.ts', { idleMs: 5_000 }),
      worker('all', './actors/tally.ts', { durable: true }),
    ]`
    const kinds = `
      import { entity, supervisor, worker } from 'keelson'
      export default { dir: './data', app: supervisor('app', {}, ${parts}) }`
    write(dir, 'keelson.config.ts', kinds)
    const lines = [
      "call(app.entity('tally').ref('a'), 'add', 2)",
      "call(all, 'add', 5)",
      "app.entity('tally').state('a')",
    ]
    const first = await commandHere(['start'], dir, { input: lines.join('\n') })
    expect([first.output, first.status]).toEqual(['2\n5\n2\n', 0])
    const second = await commandHere(['start'], dir, { input: lines.join('\n') })
    expect(second.output).toBe('4\n10\n4\n')
  })

  test('refuses a kind whose module has a wrong server, by its path', async () => {
    const dir = project()
    write(dir, 'actors/wrong.ts', 'export const server = { init: () => 0, version: 0 }')
    write(
      dir,
      'keelson.config.ts',
      `import { entity, supervisor } from 'keelson'
       export default { app: supervisor('app', {}, [entity('wrong', './actors/wrong.ts')]) }`,
    )
    const { status, errors } = await commandHere(['start'], dir)
    expect([status, codeIn(errors)]).toEqual([78, 'CONFIG'])
    expect(errors).toContain('wrong.module.version')
  })

  test('starts a crashed actor again, and shows it', async () => {
    const dir = project()
    const lines = [
      "call(counter, 'crash')",
      // Its supervisor starts it again in turns of its own.
      "while (!app.system.whereis('counter')) await new Promise((turn) => setImmediate(turn))",
      "call(counter, 'add', 1)",
      'tree()',
    ]

    const { output } = await commandHere(['start'], dir, { input: lines.join('\n') })

    expect(output).toMatch(/^EXITED: .*\n(?: .*\n)*undefined\n41\n/)
    expect(output).toMatch(/└─ counter +<\d+> +server +0 +1 +running/)
  })

  for (const [what, name, text, path] of [
    ['an option that is none', 'keelson.config.json', '{"shardz":1}', 'shardz'],
    [
      'a module that is not there',
      'keelson.config.json',
      treeWith('./nowhere.mjs'),
      'app.children[0].module',
    ],
    [
      'a module without a server',
      'keelson.config.json',
      treeWith('./empty.mjs'),
      'app.children[0].module',
    ],
    ['no JSON', 'keelson.config.json', '{', 'keelson.config.json'],
    [
      'an option that is none, given to defineConfig',
      'keelson.config.mjs',
      `import { defineConfig } from '${process.cwd()}/dist/index.js'
       export default defineConfig({ wal: { maxFileSise: 1 } })`,
      'unknown option `wal.maxFileSise`; did you mean `wal.maxFileSize`?',
    ],
  ] as const)
    test(`with ${what} is refused with CONFIG, status 78, and nothing on disk`, async () => {
      const dir = realpathSync(tempFolder())
      write(dir, 'empty.mjs', 'export {}')
      write(dir, name, text)
      const before = readdirSync(dir)

      const { status, errors, output } = await commandHere(['start'], dir)

      expect([status, codeIn(errors), output]).toEqual([78, 'CONFIG', ''])
      expect(errors.split('\n')[0]).toContain(path)
      expect(errors.split('\n')[0]).toContain(join(dir, name))
      expect(errors).not.toMatch(/^\s+at /m)
      expect(readdirSync(dir)).toEqual(before)
    })

  test('that --config names in vain is refused with CONFIG', async () => {
    const dir = tempFolder()

    const { status, errors } = await commandHere(['start', '--config', 'no.ts'], dir)

    expect([status, codeIn(errors), readdirSync(dir)]).toEqual([78, 'CONFIG', []])
  })

  test('that is not durable says so before anything else', async () => {
    const dir = tempFolder()
    write(dir, 'keelson.config.json', '{"wal":{"enableFsync":false}}')

    const { errors, output } = await commandHere(['start'], dir, { input: "store.put('a', 1)" })

    expect(errors).toContain('NOT DURABLE')
    expect(output).toBe("{ position: { shard: 0, lsn: 1 }, level: 'written' }\n")
  })
})
