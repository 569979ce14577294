/** What a build may do while `keelson rehearse` judges it: act outside of `ctx`, loop, throw, end (needs the build). */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { call, start } from 'keelson'
import { rehearse } from 'keelson/operations'
import { expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { startKeelson } from '../../support/commands/keelson-command.ts'
import {
  configOf,
  counting,
  folderOfRuns,
  original,
  rehearsed,
  renamed,
  written,
} from '../../support/commands/rehearsed-folder.ts'

const folder = folderOfRuns()

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
    hangMs: 3_000,
  })

  expect(findings).toMatchObject([
    { level: 'blocks', what: 'does not end', kind: 'entity counter' },
  ])
  expect(counts).toMatchObject({ turns: 1, notJudged: 1 })
})
