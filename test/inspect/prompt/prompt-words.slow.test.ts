import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { processWords, promptWords } from '../../../src/inspect/prompt/prompt-words.ts'
import { helpText } from '../../../src/inspect/prompt/word-help.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import { type Context, call, type GenServer, name } from '../../../src/runtime/index.ts'
import { app, asking, session } from '../../support/worlds/prompted-instance.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

/** The tree's lines without pids, counts and spaces: branch, name, kind, restarts, status. */
const shape = (tree: string): string[] =>
  tree
    .split('\n')
    .slice(1)
    .map((line) => {
      const [, branch, title] = /^([ │├└─]*)(\S+)/.exec(line) ?? []
      const [, restarts, status] = /(\d*)\s{2}(\w+(?:: .*)?)$/.exec(line) ?? []
      return `${branch}${title} ${restarts} ${status}`
    })

describe('tree()', () => {
  test('shows every supervisor and every process below it', async () => {
    const { ask } = await session()

    expect(shape(await ask('tree()'))).toEqual([
      'keelson 0 running',
      '├─ shards 0 running',
      '│  └─ shard(0) 0 running',
      '│     ├─ blob_store(0) 0 running',
      '│     ├─ wal_writer(0) 0 running',
      '│     ├─ applier(0) 0 running',
      '│     ├─ batcher(0) 0 running',
      '│     ├─ journal(0) 0 running',
      '│     └─ followers(0) 0 running',
      '│        ├─ lmdb_writer(0) 0 running',
      '│        ├─ expirer(0) 0 running',
      '│        ├─ alarms(0) 0 running',
      '│        └─ snapshotter(0) 0 running',
      '├─ registry 0 running',
      '│  └─ table(registry) 0 running',
      '└─ services 0 running',
      '   ├─ control 0 running',
      '   ├─ judge 0 running',
      '   └─ app 0 running',
      '      ├─ counter 0 running',
      '      └─ counter(2) 0 running',
    ])
  })

  test('shows a shard that is down in its place, with the reason, and its siblings running', async () => {
    const { ask, app: running, clock, disk } = await session({ shards: 2 })
    disk.inject({ at: 1, operation: 'sync', fault: { kind: 'error' } })
    const put = running.store.put('a', 1).catch((error: unknown) => error)
    await clock.advance(100)
    await put

    const lines = shape(await ask('tree()'))

    expect(lines.filter((line) => line.includes('down'))).toHaveLength(1)
    expect(lines.find((line) => line.includes('down'))).toMatch(/shard\(\d\) {2}down: .+/)
    expect(lines.filter((line) => line.includes('wal_writer'))).toHaveLength(1)
  })

  test('of a shard that is down: SHARD_DOWN names the call that starts it', async () => {
    const { ask, app: running, clock, disk } = await session({})
    disk.inject({ at: 1, operation: 'sync', fault: { kind: 'error' } })
    const put = running.store.put('a', 1).catch((error: unknown) => error)
    await clock.advance(100)
    await put

    expect(await ask("store.get('a')")).toMatch(/^SHARD_DOWN: .*control\.reopen\(0\)/)
  })

  test('shows suspended and restarted processes', async () => {
    const { ask } = await session()

    const tree = await ask('suspend(counter)', "kill('counter(2)')", 'tree()')

    expect(shape(tree).slice(-2)).toEqual([
      '      ├─ counter 0 suspended',
      '      └─ counter(2) 1 running',
    ])
  })
})

describe('commands', () => {
  test('call(p, name, payload) calls, state(p) looks', async () => {
    const { ask } = await session()

    expect(await ask("call(counter, 'add', 2)", 'state(counter)')).toBe('7\n{ count: 7 }')
    expect(await ask("call(counter, 'hang', undefined, { timeoutMs: 20 })")).toMatch(/^TIMEOUT/)
  })

  test('kill(p) ends a process at once; its supervisor starts it again', async () => {
    const { ask, app: running } = await session()
    const before = running.system.info(name('counter'))?.pid

    expect(await ask('kill(counter)')).toBe(`killed counter <${before}>`)
    expect(await ask('state(counter)')).toBe('{ count: 5 }')
    expect(running.system.info(name('counter'))?.pid).not.toBe(before)
  })

  test('kill(p) returns after the restart: the next line finds the new process', async () => {
    // The counter is started again after this one has ended.
    const slow = {
      init: (_: unknown, context: Context) => context.trapExit(true),
      terminate: async () => {
        for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
      },
    }
    const children = [
      app.children[0],
      { kind: 'worker', id: 'slow', module: { server: slow }, options: {} },
    ] as const
    const options = { strategy: 'rest_for_one' } as const
    const { ask } = await session({ app: { ...app, options, children } as never })
    const lines = ['kill(counter)', "call(counter, 'add', 1)"]

    const answers = (await ask(...lines, ...lines, ...lines)).split('\n')

    expect(answers.filter((line) => !line.startsWith('killed'))).toEqual(['6', '6', '6'])
  })

  test('call and cast of a message that nobody handles are refused, and the actor lives on', async () => {
    const { ask } = await session()

    const text = await ask("call(counter, 'ad', 1)", "cast(counter, 'add', 1)", 'info(counter)')

    expect(text).toMatch(
      /^INVALID_ARGUMENT: calls of counter <\d+>: expected add, hang, found "ad"\n/,
    )
    expect(text).toMatch(/^INVALID_ARGUMENT: casts of counter <\d+>: expected note, found "add"$/m)
    expect(text).toMatch(/^restarts +0$/m)
  })

  test('cast(p, …) and send(p, …) say whether the message was taken', async () => {
    const { ask } = await session()

    expect(
      await ask("cast(counter, 'note', 3)", "send(counter, 'tick', 4)", 'state(counter)'),
    ).toBe('true\ntrue\n{ count: 12 }')
  })

  test('send of an info that a server will not understand is refused', {
    tags: ['O5'],
  }, async () => {
    const { ask } = await session()

    expect(await ask("send(counter, 'tock', 4)")).toMatch(
      /^INVALID_ARGUMENT: infos of counter <\d+>: expected tick, found "tock"/,
    )
    expect(await ask("send(applier(0), 'anything')")).toMatch(/^INVALID_ARGUMENT/)
  })

  test('mailbox(p) shows what waits, also for a suspended process, in its order', {
    tags: ['O12'],
  }, async () => {
    const { ask } = await session()

    expect(await ask('mailbox(counter)')).toBe('no message waits')
    const text = await ask(
      'suspend(counter)',
      "cast(counter, 'note', 3)",
      "send(counter, 'tick', { by: 4, password: 'secret' })",
      'mailbox(counter)',
      "for (let at = 0; at < 30; at++) cast(counter, 'note', at); resume",
      'mailbox(counter)',
    )
    const views = text.split('message ').slice(1)
    expect(views[0]).toBe(
      "   payload\ncast note  3\ninfo tick  { by: 4, password: '[hidden string of 6]' }\n[Function: resume]\n",
    )
    expect(views[1]).toMatch(/\ncast note {2}17\nand 12 more$/)
    await ask('resume(counter)')
  })

  test('state(p), mailbox(p) and info(p) name the message of a handler that does not end', async () => {
    const { ask, app: running, clock } = await session()
    const hangs: GenServer<{ calls: { hang: () => void } }, number> = {
      init: () => 0,
      calls: { hang: () => new Promise<never>(() => undefined) },
    }
    const stuck = await running.system.start(hangs, undefined, { label: 'stuck' })
    call(stuck, 'hang', undefined, { timeoutMs: 600_000 }).catch(() => undefined)
    await clock.advance(12_000)

    expect(await ask(`mailbox(${stuck.pid})`)).toMatch(
      /^handling call hang, for 1\d(\.\d+)? s\nno message waits$/,
    )
    expect(await ask(`info(${stuck.pid})`)).toMatch(/\nhandling +call hang, for 1\d(\.\d+)? s\n/)
    expect(await ask(`state(${stuck.pid})`)).toMatch(
      /^TIMEOUT: .*stuck <\d+> within \d+ ms: it handles call hang since 20\S+Z/,
    )
  })

  test('whereis(p) is the pid of a name, and undefined without one', {
    tags: ['O12'],
  }, async () => {
    const { ask, app: running } = await session()

    expect(await ask('whereis(counter)', "whereis('nobody')", 'whereis(99)')).toBe(
      `<${running.system.info(name('counter'))?.pid}>\nundefined\nundefined`,
    )
  })

  test('app is printed in a line', { tags: ['O9'] }, async () => {
    const { ask, app: running } = await session()

    expect(await ask('app')).toBe(`the instance default in ${running.dir}: 1 shard, open`)
  })

  test('suspend(p) lets messages wait, resume(p) lets them go on', async () => {
    const { ask } = await session()

    const suspended = await ask("suspend('counter')", "call(counter, 'add', 1, { timeoutMs: 10 })")
    expect(suspended).toMatch(/^suspended counter <\d+>.*\nTIMEOUT/)
    expect(await ask('resume(counter)', 'state(counter)')).toMatch(
      /^resumed counter <\d+>\n{ count: 6 }$/,
    )
  })

  test('ps() lists every process', async () => {
    const { ask, app: running } = await session()

    const lines = (await ask('ps()')).split('\n').slice(1)

    expect(lines).toHaveLength(running.system.processes().length)
  })

  test('top() shows the busiest processes since the previous top()', async () => {
    const { ask } = await session()

    const text = await ask(
      "top('handled', 3)",
      "for (let i = 0; i < 50; i++) await call(counter, 'add', 1)",
      'top()',
      'top()',
      "top('size')",
    )

    const looks = text.split(/^since /m).slice(1)
    expect(looks[0]).toMatch(/^their start\n/)
    expect(looks[0]?.match(/^<\d+>/gm)).toHaveLength(3)
    expect(looks[1]).toMatch(/^the last look, .*\n.*\n<\d+> {2}counter +server +waiting +50 /)
    expect(text).toMatch(/^no process has handled a message since the last look/m)
    expect(text).toMatch(/^INVALID_ARGUMENT: top/m)
  })

  test("top('memory') shows the processes whose states and waiting messages take most", {
    tags: ['O12'],
  }, async () => {
    const { ask } = await session()

    const text = await ask(
      "const many = Array.from({ length: 1_000 }, () => 'x'.repeat(1_000))",
      'suspend(counter)',
      "for (const by of many) cast(counter, 'note', by)",
      "top('memory', 2)",
      'resume(counter)',
    )

    expect(text).toMatch(/^states and waiting messages, of a process with heap \d.* MB, buffers /m)
    expect(text).toMatch(/\n<\d+> +counter +server +suspended +1,000 +1\.0\d MB\n<\d+> /)
  })

  test('trace(p) shows the messages and replies of a process, between the lines that cause them', async () => {
    const { ask } = await session()

    const text = await ask('trace(counter, 3)', "call(counter, 'add', 2)", 'state(counter)')

    expect(text.replaceAll(/<\d+>/g, '<p>').split('\n')).toEqual([
      'the next 3 events of counter <p>; trace(p, 0) ends it',
      'counter <p>  in    call add 2',
      'counter <p>  out   reply 7',
      '7',
      '{ count: 7 }',
    ])
    expect(await ask('trace(counter, -1)')).toMatch(/^INVALID_ARGUMENT/)
    expect(await ask('trace(counter, 0)')).toMatch(/^counter <\d+> is not traced/)
  })

  test('store writes and reads', async () => {
    const { ask } = await session()

    const lines = ["await store.put('a', { n: 1 })", "store.get('a')", "store.get('b')"]
    expect(await ask(...lines)).toBe('{ position: { shard: 0, lsn: 1 } }\n{ n: 1 }\nundefined')
  })

  test('wal() and projections() follow the writes, shard by shard', async () => {
    const { ask } = await session({ shards: 2 })

    const keys = Array.from({ length: 8 }, (_, at) => `store.put('k${at}', ${at})`)
    const wal = await ask(`await Promise.all([${keys.join(', ')}]), 0`, 'wal()')
    const projections = await ask('await control.flushAll(), 0', 'projections()')

    expect(wal).toMatch(/^disk {2}\S+ .*\n {2}part +bytes +files {2}most of it\n/m)
    expect(wal).toMatch(/^ {2}log .* shard 0 \S+ \S+, shard 1 /m)
    expect(wal.match(/^shard \d {2}open$/gm)).toEqual(['shard 0  open', 'shard 1  open'])
    const durable = [...wal.matchAll(/durable LSN {2}(\d+)/g)].map(([, lsn]) => Number(lsn))
    expect(durable.every((lsn) => lsn > 0)).toBe(true)
    const rows = projections.split('\n').slice(2)
    expect(rows.map((row) => row.split(/ {2,}/).slice(0, 4))).toEqual(
      durable.map((lsn, shard) => [String(shard), 'following', String(lsn), '0']),
    )
  })

  test('wal() and projections() answer when their processes cannot', async () => {
    const { ask } = await session()

    const text = await ask(
      'suspend(wal_writer(0))',
      'suspend(lmdb_writer(0))',
      'wal()',
      'projections()',
    )

    expect(text).toContain('shard 0  no answer: suspended')
    expect(text).toContain('shard 0  no answer: suspended; resume')
    await ask('resume(wal_writer(0))', 'resume(lmdb_writer(0))')
  })

  test('batcher is the name of the process, and changes windows while the instance runs', async () => {
    const { ask } = await session()

    expect(await ask("batcher.setWindow('s', 20)", 'batcher.windows()')).toContain('{ s: 20 }')
    expect(await ask("store.put('s:a', 1)")).toContain('position')
    expect(
      await ask('await batcher.flush()', "batcher.setWindow('s', 0)", 'batcher.windows()'),
    ).toContain('{}')
    expect(await ask("batcher.setWindow('s', 0.5)")).toContain('INVALID_ARGUMENT')
    expect(await ask('info(batcher(0))')).toContain('batcher(0)')
  })

  test('wal() says so when the instance is not durable', async () => {
    const { ask } = await session({ wal: { enableFsync: false } })

    expect(await ask('wal()')).toContain('NOT DURABLE')
    expect(await ask('wal()')).toContain('written: acknowledged before fsync')
  })

  test('projections() shows the owner of a suspension', async () => {
    const { ask } = await session()

    const text = await ask('var hold1 = await control.suspend(0)', 'projections()')

    expect(text).toMatch(/0 {6}suspended/)
    expect(text).toMatch(/shard 0: projection held by the app since 0 s, until resume$/m)
    expect(await ask('await control.resume(0)', 'projections()')).toMatch(/0 {6}following/)
  })

  test('help is what docs/repl.md shows', () => {
    const [, shown] =
      /^keelson> help\n(.*?)\n```/ms.exec(readFileSync('docs/repl.md', 'utf8')) ?? []
    expect(shown).toBe(helpText)
  })

  test('help lists every word, as a word and as a call', async () => {
    const { ask, app: running } = await session()

    expect(await ask('help', 'help()')).toBe(`${helpText}\n${helpText}`)
    const words = Object.keys(promptWords(running, plainPaint))
    const unexplained = words.filter((word) => !new RegExp(`\\b${word}\\b`).test(helpText))
    const parts = [
      'alarms',
      'blob_store',
      'counter',
      'expirer',
      'followers',
      'keelson',
      'lmdb_writer',
      'registry',
      'services',
      'shards',
      'snapshotter',
    ]
    expect(unexplained.sort()).toEqual(parts)
  })
})

test('no word looks at all processes in one turn of the event loop', { tags: ['O3'] }, async () => {
  const world = machine()
  const workers = Array.from({ length: 1_200 }, (_, at) => ({
    ...app.children[0],
    id: `counter${at}`,
    options: { arg: at },
  }))
  const running = await world.start({ app: { ...app, children: workers } })
  const ask = asking(world, running)
  const { system } = running
  const pages: number[] = []
  const inspect = system.inspectProcesses.bind(system)
  Object.assign(system, {
    processes: () => {
      throw new Error('all at once')
    },
    inspectProcesses: (query: { readonly limit?: number }) => {
      const page = inspect(query)
      pages.push(page.length)
      return page
    },
  })

  const lines = ['ps()', 'top()', "top('memory')", 'tree()', 'info(app)', 'info(7)']
  const missed = ["info('nobody')", "crashes('nobody')", "kill('counter7')"]
  const text = await ask(...lines, ...missed)

  expect(text).not.toContain('all at once')
  expect(Math.max(...pages)).toBeLessThanOrEqual(1_000)
  expect(text).toMatch(/and \d+ more\nps\(\{ all: true, after: \d+ \}\) shows the next ones/)
  const next = /after: (\d+)/.exec(text)?.[1]
  expect(await ask(`ps({ all: true, after: ${next} })`)).toContain(`<${Number(next) + 1}>`)
})

test('completion knows the words and the names of processes', async () => {
  const { app: running } = await session()

  expect(processWords(running)).toEqual(
    expect.arrayContaining(['keelson', 'wal_writer(0)', 'control', 'counter', 'counter(2)']),
  )
})
