/** `keelson rehearse` and `rehearse` of `keelson/operations` on real folders (needs the build). */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { call, start } from 'keelson'
import { rehearse } from 'keelson/operations'
import { expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { startKeelson } from '../../support/commands/keelson-command.ts'
import { folderMadeOnce } from '../../support/temp-folder.ts'

const packageOf = (name: string): string =>
  JSON.stringify(new URL(`../../../dist/${name}.js`, import.meta.url).href)

/** A configuration whose workflow has this body, as a module of JavaScript. */
const configOf = (body: string, { top = '', parts = '' } = {}): string => `
import { defineConfig, entity, supervisor } from ${packageOf('index')}
import { flows, workflow } from ${packageOf('flow/index')}
${top}
export const order = workflow('order', async (ctx) => { ${body} })
export default defineConfig({
  dir: './data',
  app: supervisor('app', {}, [flows({ workflows: [order] }), ${parts}]),
})
`

const command = resolve('dist/inspect/cli/cli.js')

const original = "await ctx.step('reserve', () => 1); await ctx.waitFor('approval')"
const renamed = "await ctx.step('book', () => 1); await ctx.waitFor('approval')"

/** A data folder with three runs that rest, and the configuration of their build. */
const folder = folderMadeOnce(async (dir) => {
  writeFileSync(join(dir, 'old.mjs'), configOf(original))
  const { flow } = await import('keelson/flow')
  const { default: config, order } = await import(join(dir, 'old.mjs'))
  const app = await start({ ...config, dir: join(dir, 'data') })
  const changes = flow(app).watch({ type: order })
  for (const id of ['a', 'b', 'c']) await flow(app).start(order, undefined, { id })
  const resting = new Set<string>()
  for await (const { id, row } of changes) {
    if (row?.status === 'waiting') resting.add(id)
    if (resting.size === 3) break
  }
  await app.close()
})

const written = (dir: string, config: string): string => {
  writeFileSync(join(dir, 'new.mjs'), config)
  return dir
}

const rehearsed = async (dir: string, ...words: string[]) =>
  commandHere(['rehearse', 'data', '--with', 'new.mjs', ...words], dir)

test('a build that stops runs has status 4 and names them, and no copy is left', {
  tags: ['RE2'],
}, async () => {
  const dir = written(folder(), configOf(renamed))

  const { status, output, errors } = await rehearsed(dir)

  expect(status, errors).toBe(4)
  expect(output).toContain('judged 3 runs and 0 other actors')
  expect(output).toMatch(
    /blocks {2}workflow order: DIVERGED {2}\(3\)\n {2}a: the body waits for book/,
  )
  expect(readdirSync(dir).sort()).toEqual(['data', 'new.mjs', 'old.mjs'])
})

test('the build that wrote the data finds nothing, and neither does one beside itself', {
  tags: ['RE3'],
}, async () => {
  const dir = written(folder(), configOf(original))
  const same = await rehearsed(dir)
  const otherwise = written(folder(), configOf(renamed))
  const besideItself = await rehearsed(otherwise, '--against', 'new.mjs')

  expect([same.status, same.output]).toEqual([
    0,
    'judged 3 runs and 0 other actors\nnothing was found\n',
  ])
  expect([besideItself.status, besideItself.output]).toEqual([same.status, same.output])
})

test('of data without runs and actors the report says that nothing is known', async () => {
  const dir = written(folder(), configOf(original))
  const app = await start({ dir: join(dir, 'empty') })
  await app.store.put('a', 1)
  await app.close()

  const { status, output } = await commandHere(['rehearse', 'empty', '--with', 'new.mjs'], dir)

  expect([status, output]).toEqual([
    0,
    'judged 0 runs and 0 other actors: the data have none as of that moment, so nothing is known about the build\n',
  ])
})

test('a backup is only read, and equal data have an equal report', {
  tags: ['RE2', 'RE5'],
}, async () => {
  const dir = written(folder(), configOf(renamed))
  await commandHere(['backup', 'data', '--to', 'backup'], dir)
  const filesOf = () =>
    readdirSync(join(dir, 'backup'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => [
        name,
        readFileSync(join(parentPath, name)).toString('base64'),
      ])
      .sort()
  const before = filesOf()
  const words = ['rehearse', 'backup', '--with', 'new.mjs', '--json']

  const [first, second] = [await commandHere(words, dir), await commandHere(words, dir)]

  expect(first.status).toBe(4)
  expect(second.output).toBe(first.output)
  expect(filesOf()).toEqual(before)
})

test('the copy of a rehearsal that was killed goes with the next one', {
  tags: ['RE2'],
}, async () => {
  const dir = written(folder(), configOf(original))
  const { mkdirSync } = await import('node:fs')
  // No process has this number.
  mkdirSync(join(dir, 'data.rehearsal-4194305-0123456789ab', 'data'), { recursive: true })

  await rehearsed(dir)

  expect(readdirSync(dir).sort()).toEqual(['data', 'new.mjs', 'old.mjs'])
})

test('a running instance makes the backup for its rehearsal, and goes on', {
  tags: ['RE2'],
}, async () => {
  const dir = written(folder(), configOf(renamed))
  const { default: config } = await import(join(dir, 'old.mjs'))
  const app = await start({ ...config, dir: join(dir, 'data'), attach: true })

  const { status, output } = await rehearsed(dir)
  await app.store.put('after', 1)
  const after = app.store.get('after')
  await app.close()

  expect([status, after]).toEqual([4, 1])
  expect(output).toContain('blocks  workflow order: DIVERGED  (3)')
  expect(readdirSync(dir).sort()).toEqual(['data', 'new.mjs', 'old.mjs'])
})

test('saved cases are judged without their data, and find the same; a later save replaces them', async () => {
  const dir = written(folder(), configOf(renamed))
  const saves = await rehearsed(dir, '--save', 'test/cases')
  expect(saves.status).toBe(4)
  expect(saves.errors).toMatch(/^saved 3 cases in \/.*\/test\/cases$/m)
  rmSync(join(dir, 'data'), { recursive: true })
  const judged = (...words: string[]) =>
    commandHere(['rehearse', 'test/cases', '--with', 'new.mjs', ...words], dir)

  const ofCases = await judged()
  const before = readFileSync(join(dir, 'test/cases/cases.json'), 'utf8')
  await judged('--save', 'test/cases')

  expect([ofCases.status, ofCases.output]).toEqual([saves.status, saves.output])
  expect(readFileSync(join(dir, 'test/cases/cases.json'), 'utf8')).toBe(before)
  expect((await judged('--against', 'new.mjs')).status).toBe(0)
  const { findings } = await rehearse({
    from: join(dir, 'test/cases'),
    config: join(dir, 'new.mjs'),
    save: join(dir, 'again'),
  })
  expect(findings.map(({ what, count }) => [what, count])).toEqual([['DIVERGED', 3]])
  expect(readFileSync(join(dir, 'again/cases.json'), 'utf8')).toBe(before)
  expect(readdirSync(dir).sort()).toEqual(['again', 'new.mjs', 'old.mjs', 'test'])
})

test('cases are not saved into a data folder or a backup, and have no earlier state', async () => {
  const dir = written(folder(), configOf(original))
  await commandHere(['backup', 'data', '--to', 'backup'], dir)
  await rehearsed(dir, '--save', 'cases')

  for (const words of [
    ['rehearse', 'data', '--with', 'new.mjs', '--save', 'data'],
    ['rehearse', 'backup', '--with', 'new.mjs', '--save', 'backup'],
    ['rehearse', 'cases', '--with', 'new.mjs', '--at', '5'],
  ]) {
    const { status, errors } = await commandHere(words, dir)
    expect([status, errors]).toEqual([1, expect.stringMatching(/^INVALID_ARGUMENT: (save|at): /)])
  }
  expect(readdirSync(join(dir, 'backup'))).not.toContain('cases.json')
})

test('rehearsal() at the prompt has the report of the command, and the instance goes on', async () => {
  const dir = written(folder(), configOf(renamed))
  const lines = [
    "rehearsal('new.mjs')",
    "rehearsal('new.mjs', { against: 'new.mjs' })",
    "rehearsal('none.mjs')",
    'rehearsal()',
    "store.put('after', 1).then(() => store.get('after'))",
  ]

  const { status, stdout } = spawnSync(process.execPath, [command, 'start', 'old.mjs'], {
    cwd: dir,
    input: `${lines.join('\n')}\n`,
    encoding: 'utf8',
  })

  expect(stdout).toContain('blocks  workflow order: DIVERGED  (3)\n  a: the body waits for book')
  expect(stdout).toContain('judged 3 runs and 0 other actors\nnothing was found\n')
  expect(stdout).toMatch(/FAILED: .*none\.mjs/)
  expect(stdout).toContain('INVALID_ARGUMENT: config')
  expect([status, stdout.trimEnd().split('\n').at(-1)]).toEqual([0, '1'])
  expect(readdirSync(dir).sort()).toEqual(['data', 'new.mjs', 'old.mjs'])
})

test('--fail-on says which findings fail', async () => {
  const dir = written(
    folder(),
    configOf("await ctx.step('reserve', () => 1); await ctx.waitFor('confirmed')"),
  )

  const [acts, blocks] = [await rehearsed(dir), await rehearsed(dir, '--fail-on', 'blocks')]

  expect([acts.status, blocks.status]).toEqual([4, 0])
  expect(blocks.output).toContain('acts  workflow order: would wait otherwise  (3)')
})

test('a build that does not load fails with its reason, and leaves nothing', async () => {
  const dir = written(folder(), 'export default 1 +')

  const { status, errors } = await rehearsed(dir)

  expect(status).toBe(1)
  expect(errors).toMatch(/^CONFIG: .*new\.mjs cannot be loaded/)
  expect(readdirSync(dir).sort()).toEqual(['data', 'new.mjs', 'old.mjs'])
})

/** A server that counts the requests which come to it. */
const ledger = async () => {
  let requests = 0
  const server = createServer((_, response) => {
    requests++
    response.end('noted')
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    requests: () => requests,
    close: () => void server.close(),
  }
}

test('no request leaves a body, and the attempt is named', { tags: ['RE1'] }, async () => {
  const { url, requests, close } = await ledger()
  const fetches = `await fetch('${url}').catch(() => undefined); ${original}`
  const dir = written(folder(), configOf(fetches))

  const { output } = await rehearsed(dir)
  close()

  expect(requests()).toBe(0)
  expect(output).toMatch(/notes {2}program: acts outside of ctx[\s\S]*net\.connect was refused/)
})

test('a socket at the top of a module is refused, and open with --allow-net alone', {
  tags: ['RE1'],
}, async () => {
  const { url, requests, close } = await ledger()
  const fetches = `await fetch('${url}').catch(() => undefined); ${original}`
  const dir = written(folder(), configOf(fetches, { top: `await fetch('${url}')` }))

  const refused = await rehearsed(dir)
  const before = requests()
  const allowed = await rehearsed(dir, '--allow-net')
  close()

  expect([refused.status, before]).toEqual([1, 0])
  expect(refused.errors).toMatch(/CONFIG: .*cannot be loaded/)
  // Once by the module, and by none of the three bodies.
  expect([allowed.output.includes('net.connect was refused'), requests()]).toEqual([true, 1])
})

test.each([
  [
    'writes a file',
    "import { writeFileSync } from 'node:fs'",
    "writeFileSync('made', '')",
    'fs.writeFileSync',
  ],
  [
    'starts a process',
    "import { spawnSync } from 'node:child_process'",
    "spawnSync('touch', ['made'])",
    'child_process.spawnSync',
  ],
  [
    'starts a thread',
    "import { Worker } from 'node:worker_threads'",
    "new Worker('1', { eval: true })",
    'worker_threads.Worker',
  ],
])('a body that %s is refused that', { tags: ['RE1'] }, async (_, top, does, what) => {
  const body = `try { ${does} } catch {} ${original}`
  const dir = written(folder(), configOf(body, { top }))

  const { status, output } = await rehearsed(dir)

  expect(status).toBe(0)
  expect(output).toContain(`${what} was refused`)
  expect(readdirSync(dir).sort()).toEqual(['data', 'new.mjs', 'old.mjs'])
})

test('a body that logs is judged too', async () => {
  const logs = `console.log(ctx.id); console.error(ctx.id); process.stdout.write('x'); ${original}`
  const dir = written(folder(), configOf(logs, { top: "console.log('loads')" }))

  const { status, output } = await rehearsed(dir)

  expect([status, output]).toEqual([0, 'judged 3 runs and 0 other actors\nnothing was found\n'])
})

test('an endless loop in a body is ended, its runs are named, and others are judged', {
  tags: ['RE6', 'RE8'],
}, async () => {
  const endless = `if (ctx.id === 'b') for (;;); ${renamed}`
  const dir = written(folder(), configOf(endless))
  const [from, config] = [join(dir, 'data'), join(dir, 'new.mjs')]

  const { findings, counts } = await rehearse({ from, config, hangMs: 2_000 })

  expect(findings.map(({ what, examples }) => [what, examples.map(({ id }) => id)])).toEqual([
    ['DIVERGED', ['a', 'c']],
    ['does not end', ['b']],
  ])
  expect(counts).toMatchObject({ runs: 3, notJudged: 1 })
})

test('a body that ends its process is named too', { tags: ['RE6', 'RE8'] }, async () => {
  const dir = written(folder(), configOf(`process.exit(0); ${original}`))
  const [from, config] = [join(dir, 'data'), join(dir, 'new.mjs')]

  const { findings, counts } = await rehearse({ from, config, hangMs: 5_000 })

  expect(findings.map(({ what, count }) => [what, count])).toEqual([['ends its process', 3]])
  expect(counts.notJudged).toBe(3)
})

test.each([
  ['a rejection that nobody handles', "void Promise.reject(new Error('loose'))"],
  ['a throw in a timer', "setTimeout(() => { throw new Error('loose') })"],
])('%s blocks, as Node would end the process', async (_, loose) => {
  const dir = written(folder(), configOf(`${loose}; ${original}`))

  const { status, output, errors } = await rehearsed(dir)

  expect(status, errors).toBe(4)
  expect(output).toMatch(/blocks {2}program: ends the process {2}.*\n {2}Error: loose/)
  expect(output).not.toContain('DIVERGED')
})

test('a configuration that would load another copy of the package is CONFIG, which names both', async () => {
  const dir = folder()
  mkdirSync(join(dir, 'next/node_modules/keelson'), { recursive: true })
  writeFileSync(join(dir, 'next/node_modules/keelson/package.json'), '{"name":"keelson"}')
  writeFileSync(join(dir, 'next/new.mjs'), configOf(original))

  const { status, errors } = await commandHere(['rehearse', 'data', '--with', 'next/new.mjs'], dir)

  expect(status).toBe(1)
  expect(errors).toMatch(
    /^CONFIG: .*next\/new\.mjs uses the copy of keelson in .*next\/node_modules/,
  )
})

/** The processes whose folder is this one. */
const processesIn = (dir: string): readonly string[] =>
  readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`) === dir
    } catch {
      return false
    }
  })

test.each([1, 2])(
  '%i SIGINT end it in an endless loop with status 130, and its judge with it',
  async (times) => {
    const dir = folder()
    const pipe = join(dir, 'pipe')
    execFileSync('mkfifo', [pipe])
    const top = "import { readFileSync } from 'node:fs'"
    written(dir, configOf(`readFileSync(${JSON.stringify(pipe)}); for (;;);`, { top }))
    const command = startKeelson(['rehearse', 'data', '--with', 'new.mjs'], dir)
    // Opened when the judge reads it: the body has begun.
    await (await open(pipe, 'w')).close()

    for (let time = 0; time < times; time++) command.process.kill('SIGINT')

    expect((await command.ended).status).toBe(130)
    expect(processesIn(dir)).toEqual([])
  },
)

/** A configuration with a kind whose turns are recorded. */
const counting = (factor: string): string => `
import { defineConfig, entity, supervisor, reply } from ${packageOf('index')}
export const counter = entity('counter', {
  init: () => 0,
  calls: { add: (count, by) => reply(count, count + ${factor}) },
}, { record: { inputs: true } })
export default defineConfig({ dir: './data', app: supervisor('app', {}, [counter]) })
`

test('recorded turns are in a backup, a dump and a salvaged log, and run again from each', async () => {
  const dir = folder()
  rmSync(join(dir, 'data'), { recursive: true })
  writeFileSync(join(dir, 'old.mjs'), counting('by'))
  writeFileSync(join(dir, 'new.mjs'), counting('2 * by'))
  const { default: config, counter } = await import(`${join(dir, 'old.mjs')}?counting`)
  const app = await start({ ...config, dir: join(dir, 'data') })
  for (const by of [1, 2, 3])
    await call(app.entity(counter).ref('a') as never, 'add' as never, by as never)
  await app.close()
  const rehearses = async (of: string) => {
    const { status, output, errors } = await commandHere(['rehearse', of, '--with', 'new.mjs'], dir)
    expect(status, errors).toBe(4)
    expect(output).toContain('judged 0 runs and 1 other actor, 3 recorded turns')
    expect(output).toMatch(
      /acts {2}entity counter: a recorded turn differs {2}\(3\)\n {2}a: call add 1 of lsn \d+: its state/,
    )
  }

  await rehearses('data')
  const same = await commandHere(['rehearse', 'data', '--with', 'old.mjs'], dir)
  expect([same.status, same.output]).toEqual([
    0,
    'judged 0 runs and 1 other actor, 3 recorded turns\nnothing was found\n',
  ])
  await commandHere(['backup', 'data', '--to', 'backup'], dir)
  await rehearses('backup')
  expect((await commandHere(['doctor', 'data', '--deep'], dir)).status).toBe(0)
  const hidden = await commandHere(['wal', 'dump', 'data', '--json'], dir)
  const dumped = await commandHere(['wal', 'dump', 'data', '--json', '--reveal'], dir)
  expect(hidden.output).toContain('"recorded":{"tag":"structured","value":"[hidden object of')
  expect(dumped.output).toContain(
    '"recorded":{"tag":"structured","value":{"section":"calls","name":"add"',
  )
  await commandHere(['wal', 'salvage', 'data', '--to', 'salvaged'], dir)
  await rehearses('salvaged')
})

test('an endless loop in a handler is ended, and the recorded turn is named', async () => {
  const dir = folder()
  rmSync(join(dir, 'data'), { recursive: true })
  writeFileSync(join(dir, 'old.mjs'), counting('by'))
  writeFileSync(join(dir, 'new.mjs'), counting('(() => { for (;;); })()'))
  const { default: config, counter } = await import(`${join(dir, 'old.mjs')}?endless`)
  const app = await start({ ...config, dir: join(dir, 'data') })
  await call(app.entity(counter).ref('a') as never, 'add' as never, 1 as never)
  await app.close()

  const { findings, counts } = await rehearse({
    from: join(dir, 'data'),
    config: join(dir, 'new.mjs'),
    hangMs: 8_000,
  })

  expect(findings).toMatchObject([
    { level: 'blocks', what: 'does not end', kind: 'entity counter' },
  ])
  expect(counts).toMatchObject({ turns: 1, notJudged: 1 })
})
